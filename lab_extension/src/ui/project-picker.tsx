import { caretDownIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { useState } from 'react';
import type { ProjectsModel } from '../model/projects';
import { useModel } from './hooks';
import { ProjectList } from './project-list';

/** A field that holds a project, chosen from all teams by typing. */
export function ProjectPicker(props: {
  projects: ProjectsModel;
  /** Id of the project; null: `none`. */
  value: string | null;
  none: string;
  trans: TranslationBundle;
  disabled?: boolean;
  onChoose: (id: string | null) => void;
}) {
  const { projects, value, none, trans, disabled, onChoose } = props;
  const [open, setOpen] = useState(false);
  useModel(projects);
  const chosen = projects.items.find(({ id }) => id === value);
  const name = chosen ? `${projects.teamName(chosen)} / ${chosen.name}` : (value ?? none);
  return (
    <div className="nabla-Picker">
      <span id="nabla-picker-label">{trans.__('Project')}</span>
      <button
        type="button"
        className="nabla-Input"
        data-nabla="run-project"
        data-id={value ?? ''}
        aria-haspopup="listbox"
        aria-expanded={open}
        aria-labelledby="nabla-picker-label nabla-picker-value"
        disabled={disabled}
        onClick={() => setOpen(!open)}
      >
        <span id="nabla-picker-value">{name}</span>
        <caretDownIcon.react tag="span" />
      </button>
      {open && (
        <ProjectList
          projects={projects}
          trans={trans}
          none={none}
          currentId={value}
          onDone={() => setOpen(false)}
          onChoose={project => {
            if (project) {
              projects.remember(project);
            }
            onChoose(project?.id ?? null);
          }}
        />
      )}
    </div>
  );
}
