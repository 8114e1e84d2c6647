import { addIcon, closeIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { useState } from 'react';
import type { Project, ProjectContents } from '../../generated/api';
import type { ProjectsModel } from '../../model/projects';
import { Ago, Button, Confirm, ErrorLine, IconButton, InlineEdit } from '../../ui/parts';
import type { Navigation } from '../navigation';

interface Props {
  project: Project;
  projects: ProjectsModel;
  nav: Navigation;
  trans: TranslationBundle;
}

interface EditProps extends Props {
  change: (body: Parameters<ProjectsModel['change']>[1]) => Promise<void>;
}

function Tags({ project, trans, change }: EditProps) {
  const [draft, setDraft] = useState<string | null>(null);
  const add = (): void => {
    const tag = draft?.trim();
    setDraft(null);
    if (tag && !project.tags.includes(tag)) {
      void change({ tags: [...project.tags, tag] });
    }
  };
  return (
    <ul className="nabla-Tags" aria-label={trans.__('Tags')} data-nabla="tags">
      {project.tags.map(tag => (
        <li key={tag} className="nabla-Chip" data-nabla="tag">
          {tag}
          <IconButton
            name="tag-remove"
            icon={closeIcon}
            label={trans.__('Remove the tag %1', tag)}
            onClick={() => void change({ tags: project.tags.filter(other => other !== tag) })}
          />
        </li>
      ))}
      <li>
        {draft === null ? (
          <button
            type="button"
            className="nabla-Chip nabla-mod-add"
            data-nabla="tag-add"
            onClick={() => setDraft('')}
          >
            <addIcon.react tag="span" /> {trans.__('Tag')}
          </button>
        ) : (
          <input
            className="nabla-Input nabla-mod-tag"
            data-nabla="tag-input"
            aria-label={trans.__('New tag')}
            maxLength={60}
            value={draft}
            autoFocus
            onChange={event => setDraft(event.target.value.replace(',', ''))}
            onBlur={add}
            onKeyDown={event => {
              if (event.key === 'Enter') {
                add();
              } else if (event.key === 'Escape') {
                setDraft(null);
              }
            }}
          />
        )}
      </li>
    </ul>
  );
}

function whatGoes(contents: ProjectContents, trans: TranslationBundle): string {
  const { runs, active_runs, snapshots } = contents;
  const parts = [
    runs ? trans._n('%1 run with its files', '%1 runs with their files', runs) : '',
    active_runs ? trans._n('%1 of them active', '%1 of them active', active_runs) : '',
    snapshots ? trans._n('%1 snapshot', '%1 snapshots', snapshots) : ''
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
  onError
}: EditProps & { onError: (error: Error) => void }) {
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
  return (
    <div className="nabla-Head-actions">
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
  const { project, projects, trans } = props;
  const [error, setError] = useState<string | null>(null);
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
          <span>{projects.teamName(project)}</span>
          <span>
            {trans.__('made by %1', project.owner)} <Ago time={project.created} trans={trans} />
          </span>
          <span>
            <code>{project.id}</code>
          </span>
        </p>
        <Tags {...props} change={change} />
        <ErrorLine message={error} />
      </div>
      <Verbs {...props} change={change} onError={failed} />
    </header>
  );
}
