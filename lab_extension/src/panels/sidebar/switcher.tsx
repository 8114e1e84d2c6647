import { addIcon, caretDownIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { useState } from 'react';
import type { ProjectsModel } from '../../model/projects';
import { useModel } from '../../ui/hooks';
import { NameForm } from '../../ui/name-form';
import { ErrorLine } from '../../ui/parts';
import { ProjectList } from '../../ui/project-list';
import type { Navigation } from '../navigation';

interface Props {
  projects: ProjectsModel;
  trans: TranslationBundle;
}

/** The team and project that the panels show, how to show others, and how to make a project. */
export function Switcher(props: Props & { nav: Navigation }) {
  const { projects, trans, nav } = props;
  useModel(projects);
  const [mode, setMode] = useState<'closed' | 'list' | 'new'>('closed');
  const [team, setTeam] = useState<string | null>(null);
  const current = projects.current;
  const close = (): void => setMode('closed');
  const make = (where: string | null): void => {
    setTeam(where);
    setMode('new');
  };
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
          <small>{subtitle(projects, trans)}</small>
          <b>
            <span>{current?.name ?? trans.__('All projects')}</span>
            <caretDownIcon.react tag="span" />
          </b>
        </button>
        <button
          type="button"
          className="nabla-Button"
          data-nabla="new-project"
          title={trans.__('Make a project')}
          onClick={() => (mode === 'new' ? close() : make(current?.team ?? null))}
        >
          <addIcon.react tag="span" className="nabla-Button-icon" />
          {trans.__('New')}
        </button>
      </div>
      {current && mode !== 'new' && (
        <p className="nabla-Switcher-links">
          <button
            type="button"
            className="nabla-Link"
            data-nabla="open-project"
            onClick={() => nav.openProject(current.id)}
          >
            {trans.__('Project page')}
          </button>
          {projects.isOurs(current) && (
            <button
              type="button"
              className="nabla-Link"
              data-nabla="open-team"
              onClick={() => nav.openTeam(current.team)}
            >
              {trans.__('Team page')}
            </button>
          )}
        </p>
      )}
      {mode === 'new' && (
        <NewProject projects={projects} trans={trans} team={team} onDone={close} />
      )}
      {mode === 'list' && (
        <ProjectList
          projects={projects}
          trans={trans}
          none={trans.__('All projects')}
          currentId={projects.currentId}
          onDone={close}
          onNew={make}
          onTeam={nav.openTeam}
          onChoose={project => {
            projects.select(project);
            if (project) {
              nav.openProject(project.id);
            }
          }}
        />
      )}
      <ErrorLine message={projects.error} />
    </header>
  );
}

/** The team of the project that shows; of all projects: how many they are, in how many teams. */
function subtitle(projects: ProjectsModel, trans: TranslationBundle): string {
  const { current, me } = projects;
  if (current) {
    const team = projects.teamName(current);
    const from = projects.isOurs(current) ? team : trans.__('%1 · shared with me', team);
    return current.archived ? trans.__('%1 · archived', from) : from;
  }
  if (!projects.ready) {
    return '\u00a0';
  }
  const count = projects.items.length;
  const many = projects.more
    ? trans.__('More than %1 projects', count)
    : trans._n('%1 project', '%1 projects', count);
  const teams = Object.keys(me?.teams ?? {}).length;
  return teams > 1 ? trans.__('%1 in %2 teams', many, teams) : many;
}

/** A name, a team where there is a choice, Enter, and the project is there. */
function NewProject(props: Props & { team: string | null; onDone: () => void }) {
  const { projects, trans, onDone } = props;
  const teams = projects.ownTeams;
  const wanted = teams.find(({ id }) => id === props.team) ?? teams[0];
  const [team, setTeam] = useState(wanted?.id ?? null);
  return (
    <NameForm
      mark="project"
      label={trans.__('Name of the new project')}
      placeholder={trans.__('Project name')}
      create={async name => {
        await projects.create({ name, team });
        onDone();
      }}
      onDone={onDone}
      trans={trans}
    >
      {teams.length > 1 && (
        <label>
          <span className="nabla-Quiet">{trans.__('in the team')}</span>
          <select
            className="nabla-Input"
            data-nabla="new-project-team"
            value={team ?? ''}
            onChange={event => setTeam(event.target.value)}
          >
            {teams.map(({ id, name: called, kind }) => (
              <option key={id} value={id}>
                {kind === 'private' ? trans.__('%1 (only me)', called) : called}
              </option>
            ))}
          </select>
        </label>
      )}
    </NameForm>
  );
}
