import type { TranslationBundle } from '@jupyterlab/translation';
import { useEffect, useRef, useState } from 'react';
import type { Found } from '../../generated/api';
import type { ProjectsModel } from '../../model/projects';
import type { SearchModel } from '../../model/search';
import { useModel } from '../../ui/hooks';
import { Ago, ErrorLine } from '../../ui/parts';
import type { Navigation } from '../navigation';

interface Props {
  search: SearchModel;
  projects: ProjectsModel;
  nav: Navigation;
  trans: TranslationBundle;
}

/** The one search box; what it finds is shown by `Results`. */
export function SearchBox(props: Props & { active: number; setActive: (at: number) => void }) {
  const { search, nav, trans, active, setActive } = props;
  const field = useRef<HTMLInputElement>(null);
  useModel(search, true);
  useEffect(() => {
    const take = (): void => {
      if (field.current && search.take()) {
        field.current.focus();
        field.current.select();
      }
    };
    search.asked.connect(take);
    take();
    return () => {
      search.asked.disconnect(take);
    };
  }, [search]);
  const open = async (): Promise<void> => {
    const found = search.items[active] ?? (await search.first());
    if (found) {
      nav.open(found);
    }
  };
  const keys = (event: React.KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && search.items.length) {
      event.preventDefault();
      setActive(Math.max(-1, Math.min(search.items.length - 1, active + step)));
    } else if (event.key === 'Enter') {
      event.preventDefault();
      void open();
    } else if (event.key === 'Escape' && search.text) {
      event.stopPropagation();
      search.set('');
    }
  };
  const label = trans.__('Search by name, id or #tag');
  return (
    <div className="nabla-Search" role="search">
      <input
        ref={field}
        type="search"
        className="nabla-Input"
        data-nabla="search"
        role="combobox"
        aria-expanded={Boolean(search.text.trim())}
        aria-controls="nabla-found"
        aria-activedescendant={active < 0 ? undefined : `nabla-found-${active}`}
        aria-label={label}
        title={trans.__('Search everything that you may see (Alt Shift N)')}
        placeholder={label}
        spellCheck={false}
        value={search.text}
        onChange={event => {
          search.set(event.target.value);
          setActive(-1);
        }}
        onKeyDown={keys}
      />
    </div>
  );
}

/** The side bar's box and what is found; without a question, `children`. */
export function Search(props: Props & { children: React.ReactNode }) {
  const { search } = props;
  useModel(search, true);
  const [active, setActive] = useState(-1);
  return (
    <>
      <SearchBox {...props} active={active} setActive={setActive} />
      {search.text.trim() ? (
        <Results {...props} active={active} setActive={setActive} />
      ) : (
        props.children
      )}
    </>
  );
}

function kindName(kind: string, trans: TranslationBundle): string {
  const names: Record<string, string> = {
    project: trans.__('Projects'),
    run: trans.__('Runs'),
    dataset: trans.__('Datasets'),
    'dataset version': trans.__('Versions of datasets'),
    'storage provider': trans.__('Storage providers'),
    team: trans.__('Teams'),
    link: trans.__('Shared notebooks'),
    snapshot: trans.__('Snapshots'),
    secret: trans.__('Secrets'),
    service_account: trans.__('Service accounts')
  };
  return names[kind] ?? kind.replaceAll('_', ' ');
}

function Results(props: Props & { active: number; setActive: (at: number) => void }) {
  const { search, trans, active } = props;
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    list.current?.querySelector('.nabla-mod-active')?.scrollIntoView({ block: 'nearest' });
  }, [active]);
  const { groups, busy, answered, items: all } = search;
  const count = all.length;
  return (
    <div className="nabla-Found" ref={list} data-nabla="search-results" aria-busy={busy}>
      <ErrorLine message={search.error} />
      <p className="nabla-Hidden" role="status">
        {!busy && trans._n('%1 found', '%1 found', count)}
      </p>
      <div id="nabla-found" role="listbox" aria-label={trans.__('Found')}>
        {groups.map(({ kind, items }) => (
          <div
            key={kind}
            role="group"
            aria-label={kindName(kind, trans)}
            data-nabla={`found-${kind}`}
          >
            <h2>
              <span>{kindName(kind, trans)}</span>
              <span className="nabla-Note">{items.length}</span>
            </h2>
            {items.map(item => (
              <Row {...props} key={item.id} item={item} at={all.indexOf(item)} />
            ))}
          </div>
        ))}
      </div>
      {search.more && (
        <p className="nabla-Quiet">
          {trans.__('There are more: write more of the name, or a #tag.')}
        </p>
      )}
      {!count && !search.error && (busy || !answered) && (
        <p className="nabla-Quiet">{trans.__('Searching…')}</p>
      )}
      {!count && !search.error && !busy && answered && (
        <div className="nabla-Empty" data-nabla="nothing-found">
          <p>{trans.__('Nothing that you may see is called “%1”.', answered)}</p>
          <p>{trans.__('Names, ids and tags are searched; write #tag for what carries a tag.')}</p>
          {search.secretsPage && (
            <p data-nabla="search-secrets">
              {trans.__('Secrets are not searched here: they are on')}{' '}
              <a href={search.secretsPage} target="_blank" rel="noopener">
                {trans.__('the page “Secrets”')}
              </a>
              .
            </p>
          )}
        </div>
      )}
    </div>
  );
}

function Row(
  props: Props & { item: Found; at: number; active: number; setActive: (at: number) => void }
) {
  const { item, at, active, setActive, projects, nav, trans } = props;
  const { kind, project, tags } = item;
  const inside = project && projects.items.find(({ id }) => id === project)?.name;
  const where =
    kind === 'team' ? '' : [projects.teamName(item), inside].filter(Boolean).join(' / ');
  return (
    <div
      id={`nabla-found-${at}`}
      role="option"
      className={`nabla-Row nabla-Row-open${at === active ? ' nabla-mod-active' : ''}`}
      data-nabla="found"
      data-id={item.id}
      data-kind={kind}
      aria-selected={at === active}
      title={`${item.name} (${item.id})`}
      onPointerMove={() => setActive(at)}
      onClick={() => nav.open(item)}
    >
      <i className="nabla-Dot" data-kind={kind} data-state={item.state} />
      <span className="nabla-Row-name">{item.name}</span>
      <span className="nabla-Row-side">
        <Ago time={item.updated} trans={trans} />
      </span>
      <small>
        {where}
        {tags.map(tag => (
          <span key={tag} className="nabla-Tag">
            #{tag}
          </span>
        ))}
      </small>
    </div>
  );
}
