import { addIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { useEffect, useState, type ReactNode } from 'react';
import type { DatasetList } from '../../model/datasets';
import type { ForkModel } from '../../model/fork';
import type { InvitationsModel } from '../../model/invitations';
import type { ProjectsModel } from '../../model/projects';
import { activeFirst, type RunList } from '../../model/runs';
import type { SearchModel } from '../../model/search';
import { isFinal } from '../../model/states';
import { DatasetRows } from '../../ui/dataset-list';
import { useModel } from '../../ui/hooks';
import { Button, ErrorLine } from '../../ui/parts';
import type { Navigation } from '../navigation';
import { News } from './news';
import { RunRow } from './run-row';
import { Search } from './search';
import { Switcher } from './switcher';

export interface SidebarProps {
  projects: ProjectsModel;
  search: SearchModel;
  invitations: InvitationsModel;
  fork: ForkModel;
  datasets: DatasetList;
  runs: RunList;
  /** The runs that are not final, which may be older than all of `runs`. */
  active: RunList;
  nav: Navigation;
  trans: TranslationBundle;
}

function Section(props: { name: string; title: string; note?: string; children: ReactNode }) {
  return (
    <section data-nabla={`section-${props.name}`} aria-label={props.title}>
      <h2>
        <span>{props.title}</span>
        {props.note && <span className="nabla-Note">{props.note}</span>}
      </h2>
      {props.children}
    </section>
  );
}

/** The notebooks that are open here, or the way to the first one. */
function Notebooks({ nav, trans }: { nav: Navigation; trans: TranslationBundle }) {
  useModel(nav.notebooks);
  const open = nav.notebooks.list();
  const busy = open.filter(notebook => notebook.status === 'busy').length;
  return (
    <Section
      name="notebooks"
      title={trans.__('Notebooks')}
      note={busy ? trans.__('%1 of %2 busy', busy, open.length) : undefined}
    >
      {!open.length && (
        <div className="nabla-Empty">
          <p>{trans.__('Work in a notebook here, then run it as a workflow.')}</p>
          <Button
            name="open-notebook"
            label={trans.__('Open a notebook')}
            onClick={() => nav.openNotebook()}
          />
        </div>
      )}
      <ul>
        {open.map(({ path, name, status, kernel }) => (
          <li className="nabla-Row" key={path} data-nabla="notebook-row" data-path={path}>
            <button
              type="button"
              className="nabla-Row-open"
              title={path}
              onClick={() => nav.openNotebook(path)}
            >
              <i className="nabla-Dot" data-state={status === 'busy' ? 'Running' : 'Idle'} />
              <span className="nabla-Row-name">{name}</span>
              <span className="nabla-Row-side" />
              <small>
                {kernel ? trans.__('%1 · kernel %2', kernel, status) : trans.__('no kernel')}
              </small>
            </button>
          </li>
        ))}
      </ul>
    </Section>
  );
}

/** The runs of the project: those that are active, then the others, newest first. */
function Workflows(props: SidebarProps) {
  const { runs, nav, trans } = props;
  const [error, setError] = useState<string | null>(null);
  useModel(runs);
  useModel(props.active);
  const items = activeFirst(props.active.items, runs.items);
  const active = items.filter(run => !isFinal(run.state)).length;
  return (
    <Section
      name="workflows"
      title={trans.__('Workflows')}
      note={active ? trans._n('%1 active', '%1 active', active) : undefined}
    >
      <ErrorLine message={error ?? runs.error} />
      {runs.ready && !items.length && (
        <div className="nabla-Empty">
          <p>
            {trans.__(
              'A workflow runs a whole notebook on an instance of its own, and goes on when you leave.'
            )}
          </p>
          <p className="nabla-Hint">
            <addIcon.react tag="span" />
            {trans.__('Open a notebook, then press “Run as workflow” in its tool bar.')}
          </p>
        </div>
      )}
      <ul data-nabla="run-list">
        {items.map(run => (
          <RunRow key={run.id} run={run} runs={runs} nav={nav} trans={trans} onError={setError} />
        ))}
      </ul>
      {!runs.complete && runs.items.length > 0 && (
        <div className="nabla-More">
          <Button
            name="more-runs"
            label={trans.__('Show older runs')}
            onClick={() => void runs.more()}
          />
        </div>
      )}
    </Section>
  );
}

/** The ∇ side bar. */
export function Sidebar(props: SidebarProps) {
  const { projects, runs, active, nav, trans } = props;
  useEffect(() => {
    const switched = (): void => {
      runs.where({ project: projects.currentId });
      active.where({ project: projects.currentId });
    };
    projects.currentChanged.connect(switched);
    return () => {
      projects.currentChanged.disconnect(switched);
    };
  }, [projects, runs, active]);
  return (
    <div className="nabla-Sidebar" data-nabla="sidebar">
      <News {...props} />
      <Switcher projects={projects} trans={trans} nav={nav} />
      <Search {...props}>
        <div className="nabla-Sections">
          <Notebooks nav={nav} trans={trans} />
          <Workflows {...props} />
          <Section name="data" title={trans.__('Data')}>
            <DatasetRows {...props} />
          </Section>
        </div>
      </Search>
    </div>
  );
}
