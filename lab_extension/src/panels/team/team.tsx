import type { TranslationBundle } from '@jupyterlab/translation';
import { useEffect, useState } from 'react';
import type { Team } from '../../generated/api';
import type { TeamModel } from '../../model/team';
import { Feed } from '../../ui/feed';
import { roleName } from '../../ui/format';
import { useModel } from '../../ui/hooks';
import { Ago, Button, ErrorLine, PageLink, Tabs } from '../../ui/parts';
import type { Navigation } from '../navigation';
import { Leave } from './leave';
import { People } from './people';

export interface TeamProps {
  model: TeamModel;
  nav: Navigation;
  trans: TranslationBundle;
}

type TeamTab = 'people' | 'projects' | 'activity';

function Facts({ model, team, trans }: TeamProps & { team: Team }) {
  const { role, members } = model;
  const people = members.total ?? members.items.length;
  return (
    <p className="nabla-Facts">
      {team.private ? (
        <span>{trans.__('Your own: nobody else is in it')}</span>
      ) : (
        <>
          {role && <span>{trans.__('You are its %1', roleName(role, trans))}</span>}
          <span>{trans._n('%1 person', '%1 people', people)}</span>
        </>
      )}
      <span>
        {trans.__('made by %1', team.owner)} <Ago time={team.created} trans={trans} />
      </span>
      <span>
        <code>{team.id}</code>
      </span>
    </p>
  );
}

function Head(props: TeamProps & { team: Team }) {
  const { model, team, trans } = props;
  const [leaving, setLeaving] = useState(false);
  const { page, manages } = model;
  return (
    <header className="nabla-Head">
      <div>
        <h1>{team.name}</h1>
        {team.description && <p className="nabla-mod-text">{team.description}</p>}
        <Facts {...props} />
      </div>
      <div className="nabla-Head-actions">
        {page && manages && !team.private && (
          <PageLink
            name="team-manage"
            href={`${page}/${team.name}`}
            label={trans.__('Manage people')}
          />
        )}
        {page && (
          <PageLink name="team-secrets" href={model.secretsPage} label={trans.__('Secrets')} />
        )}
        {page && manages && (
          <PageLink name="team-audit" href={model.auditPage} label={trans.__('Audit log')} />
        )}
        {!team.private && (
          <Button
            name="team-leave"
            label={trans.__('Leave…')}
            pressed={leaving}
            onClick={() => setLeaving(!leaving)}
          />
        )}
      </div>
      {leaving && <Leave {...props} team={team} onDone={() => setLeaving(false)} />}
    </header>
  );
}

/** What nobody of the team owns any more, which production may need, and the way out. */
function Ownerless({ model, trans }: TeamProps) {
  const { ownerless, page, manages } = model;
  if (!ownerless.length) {
    return null;
  }
  const names = ownerless
    .slice(0, 5)
    .map(({ kind, name }) => `${kind.replaceAll('_', ' ')} ${name}`);
  const more = ownerless.length - names.length;
  return (
    <p className="nabla-Warning" role="status" data-nabla="ownerless">
      {trans._n(
        '%1 thing belongs to somebody who is not in the team any more: %2%3.',
        '%1 things belong to people who are not in the team any more: %2%3.',
        ownerless.length,
        names.join(', '),
        more > 0 ? trans.__(' and %1 more', more) : ''
      )}{' '}
      {page && manages ? (
        <a href={`${page}/${model.team?.name ?? model.id}`} target="_blank" rel="noopener">
          {trans.__('Hand it over to a service account')}
        </a>
      ) : (
        trans.__('An owner or admin of the team can hand it over to a service account.')
      )}
    </p>
  );
}

function Projects({ model, nav, trans }: TeamProps) {
  const projects = model.projects.items.filter(({ team }) => team === model.id);
  return (
    <div className="nabla-Team-body" data-nabla="team-projects">
      {!projects.length && !model.projects.more && (
        <div className="nabla-Empty">
          <p>
            {trans.__(
              'No projects yet. Press “New” in the side bar and choose this team: all of its people see the project.'
            )}
          </p>
        </div>
      )}
      <ul className="nabla-Plain">
        {projects.map(project => (
          <li key={project.id} data-nabla="team-project" data-id={project.id}>
            <button
              type="button"
              className="nabla-Link"
              onClick={() => nav.openProject(project.id)}
            >
              {project.name}
            </button>
            <span className="nabla-Quiet">{project.description}</span>
            <span className="nabla-Quiet">
              {trans.__('made by %1', project.owner)} <Ago time={project.created} trans={trans} />
            </span>
          </li>
        ))}
      </ul>
      {model.projects.more && (
        <Button
          name="more-projects"
          label={trans.__('Show more projects')}
          onClick={() => void model.projects.fetchMore()}
        />
      )}
    </div>
  );
}

function Body({ tab, ...props }: TeamProps & { tab: TeamTab }) {
  const { model, nav, trans } = props;
  useEffect(() => {
    if (tab !== 'activity') {
      return;
    }
    model.activity.start();
    return () => model.activity.pause();
  }, [tab, model]);
  switch (tab) {
    case 'people':
      return <People {...props} />;
    case 'projects':
      return <Projects {...props} />;
    default:
      return (
        <Feed
          feed={model.activity}
          nav={nav}
          trans={trans}
          empty={trans.__('What people do in this team is told here, newest first.')}
        />
      );
  }
}

/** A team's page: who is in it, what it has, what was done. */
export function TeamPage(props: TeamProps) {
  const { model, trans } = props;
  const [tab, setTab] = useState<TeamTab>('people');
  useModel(model);
  const { team } = model;
  if (!team || model.lost) {
    return (
      <div className="nabla-Page" data-nabla={model.lost ? 'team-lost' : 'team-loading'}>
        <div className="nabla-Form">
          <ErrorLine
            message={
              team
                ? trans.__('You are not in the team “%1” any more, or it was deleted.', team.name)
                : model.error
            }
          />
          {!team && !model.error && <p className="nabla-Quiet">{trans.__('Fetching the team…')}</p>}
        </div>
      </div>
    );
  }
  const tabs: { id: TeamTab; label: string; count?: number | null }[] = [
    { id: 'people', label: trans.__('People'), count: model.members.total },
    { id: 'projects', label: trans.__('Projects') },
    { id: 'activity', label: trans.__('Activity') }
  ];
  return (
    <div className="nabla-Page nabla-Team" data-nabla="team-page" data-id={team.id}>
      <Head {...props} team={team} />
      <Ownerless {...props} />
      <ErrorLine message={model.error} />
      <Tabs tabs={tabs} current={tab} label={trans.__('In this team')} onSelect={setTab} />
      <div role="tabpanel">
        <Body {...props} tab={tab} />
      </div>
    </div>
  );
}
