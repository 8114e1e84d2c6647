import type { TranslationBundle } from '@jupyterlab/translation';
import { useEffect, useState, type ReactNode } from 'react';
import type { Project } from '../../generated/api';
import type { ProjectsModel } from '../../model/projects';
import type { ActivityList } from '../../model/activity';
import type { DatasetList } from '../../model/datasets';
import type { RunList } from '../../model/runs';
import type { SharesModel } from '../../model/shares';
import { DatasetRows } from '../../ui/dataset-list';
import { Feed } from '../../ui/feed';
import { useModel } from '../../ui/hooks';
import { ErrorLine, Tabs } from '../../ui/parts';
import type { Navigation } from '../navigation';
import { HomeHeader } from './header';
import { RunsTable } from './runs';

export interface HomeProps {
  project: Project | null;
  error: string | null;
  projects: ProjectsModel;
  runs: RunList;
  shares: SharesModel;
  activity: ActivityList;
  datasets: DatasetList;
  suggestTags: (text: string) => Promise<readonly string[]>;
  secretsPage: string;
  nav: Navigation;
  trans: TranslationBundle;
}

type HomeTab = 'notebooks' | 'workflows' | 'models' | 'data' | 'deployments' | 'activity';

function Later({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="nabla-Empty nabla-mod-wide" data-nabla={`empty-${name}`}>
      {children}
    </div>
  );
}

/** What a tab without a list of its own is for, and where that is kept until then. */
function Elsewhere({ tab, nav, trans }: { tab: HomeTab } & Pick<HomeProps, 'nav' | 'trans'>) {
  switch (tab) {
    case 'notebooks':
      return (
        <Later name={tab}>
          <p>
            {trans.__(
              'Notebooks are files in your own folder: open them from the file browser, and run any of ' +
                'them in this project with “Run as workflow”.'
            )}
          </p>
          <button
            type="button"
            className="nabla-Button nabla-mod-primary"
            data-nabla="open-notebook"
            onClick={() => nav.openNotebook()}
          >
            {trans.__('Open a notebook')}
          </button>
        </Later>
      );
    case 'models':
      return (
        <Later name={tab}>
          <p>
            {trans.__(
              'No registry of models yet. A model that a run saves into its folder is kept with the run: ' +
                'see its Outputs.'
            )}
          </p>
        </Later>
      );
    default:
      return (
        <Later name={tab}>
          <p>
            {trans.__(
              'No deployments yet: models are not served from here. A run’s Outputs hold the files that ' +
                'another server would need.'
            )}
          </p>
        </Later>
      );
  }
}

function Shown({ tab, ...props }: HomeProps & { tab: HomeTab }) {
  const { activity, datasets, nav, trans } = props;
  useEffect(() => {
    const live = { activity, data: datasets }[tab as string];
    live?.start();
    return () => live?.pause();
  }, [tab, activity, datasets]);
  switch (tab) {
    case 'workflows':
      return <RunsTable {...props} />;
    case 'data':
      return (
        <div className="nabla-HomeData">
          <DatasetRows {...props} />
        </div>
      );
    case 'activity':
      return (
        <Feed
          feed={activity}
          nav={nav}
          trans={trans}
          empty={trans.__('What people do in this project is told here, newest first.')}
        />
      );
    default:
      return <Elsewhere {...props} tab={tab} />;
  }
}

/** A project's page: what it is, and what is in it. */
export function Home(props: HomeProps) {
  const { project, projects, runs, trans } = props;
  const [tab, setTab] = useState<HomeTab>('workflows');
  useModel(projects);
  useModel(runs);
  if (!project) {
    return (
      <div className="nabla-Page" data-nabla="project-lost">
        <div className="nabla-Form">
          <ErrorLine message={props.error} />
        </div>
      </div>
    );
  }
  const tabs: { id: HomeTab; label: string; count?: number | null }[] = [
    { id: 'notebooks', label: trans.__('Notebooks') },
    { id: 'workflows', label: trans.__('Workflows'), count: runs.total },
    { id: 'models', label: trans.__('Models') },
    { id: 'data', label: trans.__('Data') },
    { id: 'deployments', label: trans.__('Deployments') },
    { id: 'activity', label: trans.__('Activity') }
  ];
  return (
    <div className="nabla-Page nabla-Home" data-nabla="project-home" data-id={project.id}>
      <HomeHeader {...props} project={project} />
      <Tabs tabs={tabs} current={tab} label={trans.__('In this project')} onSelect={setTab} />
      <div className="nabla-Home-body" role="tabpanel">
        <Shown {...props} tab={tab} />
      </div>
    </div>
  );
}
