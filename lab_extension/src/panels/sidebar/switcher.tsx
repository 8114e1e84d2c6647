import { addIcon, caretDownIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { useEffect, useRef, useState } from 'react';
import type { Project } from '../../generated/api';
import type { ProjectsModel } from '../../model/projects';
import { useModel } from '../../ui/hooks';
import { ErrorLine } from '../../ui/parts';

interface Props {
  projects: ProjectsModel;
  trans: TranslationBundle;
}

/** The project that the panels show, how to show another one, and how to make one. */
export function Switcher(props: Props & { onOpen: (project: Project) => void }) {
  const { projects, trans, onOpen } = props;
  useModel(projects);
  const [mode, setMode] = useState<'closed' | 'list' | 'new'>('closed');
  const current = projects.current;
  const close = (): void => setMode('closed');
  return (
    <header className="nabla-Switcher">
      <div className="nabla-Switcher-line">
        <button
          type="button"
          className="nabla-Switcher-current"
          data-nabla="project-switcher"
          aria-haspopup="listbox"
          aria-expanded={mode === 'list'}
          onClick={() => setMode(mode === 'list' ? 'closed' : 'list')}
        >
          <b>
            {current?.name ?? trans.__('All projects')}
            <caretDownIcon.react tag="span" />
          </b>
          <small>{subtitle(projects, trans)}</small>
        </button>
        <button
          type="button"
          className="nabla-Button"
          data-nabla="new-project"
          title={trans.__('Make a project')}
          onClick={() => setMode(mode === 'new' ? 'closed' : 'new')}
        >
          <addIcon.react tag="span" className="nabla-Button-icon" />
          {trans.__('New')}
        </button>
      </div>
      {current && mode !== 'new' && (
        <button
          type="button"
          className="nabla-Link"
          data-nabla="open-project"
          onClick={() => onOpen(current)}
        >
          {trans.__('Open the project’s page')}
        </button>
      )}
      {mode === 'new' && <NewProject projects={projects} trans={trans} onDone={close} />}
      {mode === 'list' && <ProjectList {...props} onDone={close} />}
      <ErrorLine message={projects.error} />
    </header>
  );
}

function subtitle(projects: ProjectsModel, trans: TranslationBundle): string {
  if (projects.current) {
    const team = projects.teamName(projects.current);
    return projects.current.archived ? trans.__('%1 · archived', team) : team;
  }
  const count = projects.items.length;
  if (!projects.ready) {
    return '\u00a0';
  }
  return projects.more
    ? trans.__('More than %1 projects', count)
    : trans._n('%1 project', '%1 projects', count);
}

/** One field: a name, Enter, and the project is there. */
function NewProject({ projects, trans, onDone }: Props & { onDone: () => void }) {
  const [name, setName] = useState('');
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const create = (): void => {
    setBusy(true);
    projects
      .create({ name })
      .then(onDone)
      .catch((reason: Error) => {
        setError(reason.message);
        setBusy(false);
      });
  };
  return (
    <form
      className="nabla-NewProject"
      onSubmit={event => {
        event.preventDefault();
        create();
      }}
      onKeyDown={event => event.key === 'Escape' && onDone()}
    >
      <input
        className="nabla-Input"
        data-nabla="new-project-name"
        aria-label={trans.__('Name of the new project')}
        placeholder={trans.__('Name of the new project')}
        value={name}
        autoFocus
        onChange={event => setName(event.target.value)}
      />
      <button
        type="submit"
        className="nabla-Button nabla-mod-primary"
        data-nabla="new-project-create"
        disabled={busy || !name.trim()}
      >
        {trans.__('Create')}
      </button>
      <ErrorLine message={error} />
    </form>
  );
}

/** All projects, found by typing, chosen by arrow keys and Enter. */
function ProjectList(props: Props & { onDone: () => void; onOpen: (project: Project) => void }) {
  const { projects, trans, onDone, onOpen } = props;
  const [text, setText] = useState('');
  const [found, setFound] = useState<readonly Project[]>(projects.items);
  const [active, setActive] = useState(0);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const timer = setTimeout(
      () => {
        projects.search(text.trim()).then(setFound, () => setFound([]));
      },
      text ? 150 : 0
    );
    return () => clearTimeout(timer);
  }, [text, projects]);
  useEffect(() => {
    const outside = (event: PointerEvent): void => {
      if (!box.current?.parentElement?.contains(event.target as Node)) {
        onDone();
      }
    };
    document.addEventListener('pointerdown', outside);
    return () => document.removeEventListener('pointerdown', outside);
  }, [onDone]);
  const rows: (Project | null)[] = text ? [...found] : [null, ...found];
  const choose = (project: Project | null): void => {
    projects.select(project);
    onDone();
    if (project) {
      onOpen(project);
    }
  };
  const keys = (event: React.KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setActive(Math.max(0, Math.min(rows.length - 1, active + step)));
    } else if (event.key === 'Enter' && active in rows) {
      choose(rows[active] ?? null);
    } else if (event.key === 'Escape') {
      onDone();
    }
  };
  return (
    <div className="nabla-ProjectList" ref={box} onKeyDown={keys}>
      <input
        className="nabla-Input"
        type="search"
        data-nabla="project-search"
        role="combobox"
        aria-expanded="true"
        aria-controls="nabla-project-list"
        aria-activedescendant={`nabla-project-${active}`}
        aria-label={trans.__('Find a project')}
        placeholder={trans.__('Find a project')}
        value={text}
        autoFocus
        onChange={event => {
          setText(event.target.value);
          setActive(0);
        }}
      />
      <ul id="nabla-project-list" role="listbox" aria-label={trans.__('Projects')}>
        {rows.map((project, index) => (
          <li
            key={project?.id ?? 'all'}
            id={`nabla-project-${index}`}
            role="option"
            data-nabla="project-option"
            data-id={project?.id ?? ''}
            aria-selected={(project?.id ?? null) === projects.currentId}
            className={index === active ? 'nabla-mod-active' : ''}
            onPointerMove={() => setActive(index)}
            onClick={() => choose(project)}
          >
            <span>{project?.name ?? trans.__('All projects')}</span>
            <small>{project ? projects.teamName(project) : ''}</small>
          </li>
        ))}
        {!rows.length && (
          <li className="nabla-Quiet" role="option" aria-selected="false" aria-disabled="true">
            {trans.__('No project is called that.')}
          </li>
        )}
      </ul>
    </div>
  );
}
