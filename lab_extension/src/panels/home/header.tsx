import type { TranslationBundle } from '@jupyterlab/translation';
import { useState } from 'react';
import type { Project, ProjectContents } from '../../generated/api';
import type { ProjectsModel } from '../../model/projects';
import type { SharesModel } from '../../model/shares';
import { Ago, Button, Confirm, ErrorLine, InlineEdit, PageLink } from '../../ui/parts';
import { TagEditor } from '../../ui/tags';
import type { Navigation } from '../navigation';
import { Sharing, SharingFact } from './sharing';

interface Props {
  project: Project;
  projects: ProjectsModel;
  shares: SharesModel;
  suggestTags: (text: string) => Promise<readonly string[]>;
  /** Where the project's secrets are looked after; empty where there is no such page. */
  secretsPage: string;
  nav: Navigation;
  trans: TranslationBundle;
}

interface EditProps extends Props {
  change: (body: Parameters<ProjectsModel['change']>[1]) => Promise<void>;
}

function whatGoes(contents: ProjectContents, trans: TranslationBundle): string {
  const { runs, active_runs, links } = contents;
  const parts = [
    runs ? trans._n('%1 run with its files', '%1 runs with their files', runs) : '',
    active_runs ? trans._n('%1 of them active', '%1 of them active', active_runs) : '',
    links ? trans._n('%1 link to a notebook', '%1 links to notebooks', links) : ''
  ].filter(Boolean);
  return parts.length
    ? trans.__('Delete the project? With it go %1.', parts.join(', '))
    : trans.__('Delete the project? Nothing is in it.');
}

function Verbs({
  project,
  projects,
  nav,
  trans,
  change,
  sharing,
  secretsPage,
  onShare,
  onError
}: EditProps & {
  sharing: boolean;
  onShare: () => void;
  onError: (error: Error) => void;
}) {
  const role = projects.role(project.team);
  const [contents, setContents] = useState<ProjectContents | null>(null);
  if (contents) {
    return (
      <Confirm
        question={whatGoes(contents, trans)}
        yes={trans.__('Delete all of it')}
        no={trans.__('Keep')}
        onNo={() => setContents(null)}
        onYes={() => {
          projects
            .delete(project.id, true)
            .then(() => nav.closeTab())
            .catch((error: Error) => {
              setContents(null);
              onError(error);
            });
        }}
      />
    );
  }
  if (role === null || role === 'viewer') {
    return null;
  }
  return (
    <div className="nabla-Head-actions">
      {secretsPage && (
        <PageLink name="project-secrets" href={secretsPage} label={trans.__('Secrets')} />
      )}
      {(role === 'owner' || role === 'admin') && (
        <Button
          name="project-share"
          label={trans.__('Share…')}
          title={trans.__('Let another team or person into this project')}
          pressed={sharing}
          onClick={onShare}
        />
      )}
      <Button
        name="project-archive"
        label={project.archived ? trans.__('Take out of the archive') : trans.__('Archive')}
        title={trans.__('An archived project keeps everything and leaves the lists.')}
        onClick={() => void change({ archived: !project.archived })}
      />
      <Button
        name="project-delete"
        label={trans.__('Delete')}
        onClick={() => {
          projects
            .delete(project.id, false)
            .then(answer => setContents(answer.contents))
            .catch(onError);
        }}
      />
    </div>
  );
}

/** Name, description, tags and verbs of a project, each edited where it stands. */
export function HomeHeader(props: Props) {
  const { project, projects, shares, suggestTags, nav, trans } = props;
  const [error, setError] = useState<string | null>(null);
  const [sharing, setSharing] = useState(false);
  const ours = projects.isOurs(project);
  const failed = (reason: Error): void => setError(reason.message);
  const change: EditProps['change'] = async body => {
    setError(null);
    await projects.change(project.id, { ...body, version: project.version }).catch(failed);
  };
  return (
    <header className="nabla-Head nabla-HomeHeader">
      <div>
        <h1>
          <InlineEdit
            name="project-name"
            className="nabla-mod-title"
            value={project.name}
            label={trans.__('Rename the project')}
            placeholder={trans.__('Name')}
            onSave={name => change({ name })}
          />
          {project.archived && <span className="nabla-Chip">{trans.__('archived')}</span>}
        </h1>
        <InlineEdit
          name="project-description"
          className="nabla-mod-text"
          value={project.description}
          label={trans.__('Describe the project')}
          placeholder={trans.__('Describe what this project is for')}
          multiline
          onSave={description => change({ description })}
        />
        <p className="nabla-Facts">
          {ours && (
            <span>
              <button
                type="button"
                className="nabla-Link"
                data-nabla="open-team"
                title={trans.__('Open the team’s page')}
                onClick={() => nav.openTeam(project.team)}
              >
                {projects.teamName(project)}
              </button>
            </span>
          )}
          <SharingFact project={project} projects={projects} shares={shares} trans={trans} />
          <span>
            {trans.__('made by %1', project.owner)} <Ago time={project.created} trans={trans} />
          </span>
          <span>
            <code>{project.id}</code>
          </span>
        </p>
        <TagEditor
          tags={project.tags}
          trans={trans}
          editable={projects.role(project.team) !== 'viewer'}
          suggest={suggestTags}
          onChange={tags => void change({ tags })}
        />
        <ErrorLine message={error} />
      </div>
      <Verbs
        {...props}
        change={change}
        sharing={sharing}
        onShare={() => setSharing(!sharing)}
        onError={failed}
      />
      {sharing && (
        <Sharing
          project={project}
          projects={projects}
          shares={shares}
          trans={trans}
          onDone={() => setSharing(false)}
        />
      )}
    </header>
  );
}
