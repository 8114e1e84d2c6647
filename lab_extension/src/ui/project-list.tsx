import { addIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { useEffect, useMemo, useRef, useState } from 'react';
import type { Me, Project } from '../generated/api';
import { groupProjects, type ProjectsModel, type TeamGroup } from '../model/projects';
import { roleName } from './format';

interface Props {
  projects: ProjectsModel;
  trans: TranslationBundle;
  /** What the first row is called, which stands for no project. */
  none: string;
  currentId: string | null;
  onChoose: (project: Project | null) => void;
  onDone: () => void;
  /** Where a team leads; without it teams are headings. */
  onTeam?: (id: string) => void;
  /** How a project is made in a team; without it none can be. */
  onNew?: (team: string) => void;
}

type Row =
  | { key: string; kind: 'none' }
  | { key: string; kind: 'team'; group: TeamGroup }
  | { key: string; kind: 'project'; project: Project };

function rowsOf(groups: readonly TeamGroup[], withNone: boolean): Row[] {
  return [
    ...(withNone ? [{ key: 'none', kind: 'none' } as const] : []),
    ...groups.flatMap((group): Row[] => [
      { key: group.id, kind: 'team', group },
      ...group.projects.map(project => ({ key: project.id, kind: 'project', project }) as const)
    ])
  ];
}

/** The groups that hold what was found, and the teams that are called like it. */
function found(
  projects: readonly Project[],
  text: string,
  me: Me | null,
  withTeams: boolean
): TeamGroup[] {
  const word = text.toLowerCase();
  return groupProjects(projects, me).filter(
    group => group.projects.length || (withTeams && group.name.toLowerCase().includes(word))
  );
}

/** Teams with their projects, found by typing, chosen by arrow keys and Enter. */
export function ProjectList(props: Props) {
  const { projects, trans, onDone, onTeam, onChoose } = props;
  const [text, setText] = useState('');
  const [active, setActive] = useState(-1);
  const box = useRef<HTMLDivElement>(null);
  const wanted = text.trim();
  useOutside(box, onDone);
  const rows = useRows(projects, wanted, onTeam !== undefined);
  const isOption = (row: Row | undefined): boolean => row?.kind !== 'team' || Boolean(onTeam);
  // While one types, Enter takes the first project; before that, nothing has been pointed at.
  const first = wanted ? rows.findIndex(({ kind }) => kind === 'project') : -1;
  const at = active < 0 ? first : Math.min(active, rows.length - 1);
  const choose = (row: Row): void => {
    onDone();
    if (row.kind === 'team') {
      onTeam?.(row.group.id);
    } else {
      onChoose(row.kind === 'project' ? row.project : null);
    }
  };
  const keys = (event: React.KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      let next = at + step;
      while (next in rows && !isOption(rows[next])) {
        next += step;
      }
      setActive(next in rows ? next : Math.max(at, 0));
      if (next >= rows.length - 1 && !wanted && projects.more) {
        void projects.fetchMore();
      }
    } else if (event.key === 'Enter' && rows[at]) {
      event.preventDefault();
      choose(rows[at]);
    } else if (event.key === 'Escape') {
      event.stopPropagation();
      onDone();
    }
  };
  useEffect(() => {
    box.current?.querySelector('.nabla-mod-active')?.scrollIntoView({ block: 'nearest' });
  }, [at]);
  return (
    <div className="nabla-ProjectList" ref={box} onKeyDown={keys}>
      <input
        className="nabla-Input"
        type="search"
        data-nabla="project-search"
        role="combobox"
        aria-expanded="true"
        aria-controls="nabla-project-list"
        aria-activedescendant={at < 0 ? undefined : `nabla-project-${at}`}
        aria-label={onTeam ? trans.__('Find a project or a team') : trans.__('Find a project')}
        placeholder={onTeam ? trans.__('Find a project or a team') : trans.__('Find a project')}
        value={text}
        autoFocus
        onChange={event => {
          setText(event.target.value);
          setActive(-1);
        }}
      />
      <ul
        id="nabla-project-list"
        role="listbox"
        aria-label={trans.__('Projects')}
        onScroll={({ currentTarget: list }) => {
          const left = list.scrollHeight - list.scrollTop - list.clientHeight;
          if (left < 300 && !wanted && projects.more) {
            void projects.fetchMore();
          }
        }}
      >
        {rows.map((row, index) => (
          <ListRow
            {...props}
            key={row.key}
            row={row}
            id={`nabla-project-${index}`}
            active={index === at}
            onPoint={() => isOption(row) && setActive(index)}
            onPick={() => isOption(row) && choose(row)}
          />
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

/** The rows for what is typed: of what is known at once, of all that the service finds in a moment. */
function useRows(projects: ProjectsModel, wanted: string, withTeams: boolean): readonly Row[] {
  const [answer, setAnswer] = useState({ text: '', items: [] as readonly Project[] });
  useEffect(() => {
    if (!wanted) {
      return;
    }
    let asked = true;
    const timer = setTimeout(() => {
      projects.search(wanted).then(
        items => asked && setAnswer({ text: wanted, items }),
        () => undefined
      );
    }, 150);
    return () => {
      asked = false;
      clearTimeout(timer);
    };
  }, [wanted, projects]);
  const { items, me } = projects;
  return useMemo(() => {
    if (wanted) {
      const word = wanted.toLowerCase();
      const known = items.filter(
        ({ name, id }) => name.toLowerCase().includes(word) || id === wanted
      );
      return rowsOf(
        found(answer.text === wanted ? answer.items : known, wanted, me, withTeams),
        false
      );
    }
    const groups = groupProjects(items, me);
    return rowsOf(withTeams ? groups : groups.filter(group => group.projects.length), true);
  }, [wanted, answer, items, me, withTeams]);
}

/** Call `onDone` when something outside of what holds `box` is pressed. */
function useOutside(box: React.RefObject<HTMLElement>, onDone: () => void): void {
  useEffect(() => {
    const outside = (event: PointerEvent): void => {
      if (!box.current?.parentElement?.contains(event.target as Node)) {
        onDone();
      }
    };
    document.addEventListener('pointerdown', outside);
    return () => document.removeEventListener('pointerdown', outside);
  }, [box, onDone]);
}

function ListRow(
  props: Props & {
    row: Row;
    id: string;
    active: boolean;
    onPoint: () => void;
    onPick: () => void;
  }
) {
  const { row, id, active, trans, currentId, onPoint, onPick } = props;
  const events = { id, onPointerMove: onPoint, onClick: onPick };
  const mark = active ? ' nabla-mod-active' : '';
  if (row.kind === 'team') {
    return <TeamRow {...props} group={row.group} events={events} mark={mark} />;
  }
  const project = row.kind === 'project' ? row.project : null;
  return (
    <li
      {...events}
      role="option"
      data-nabla="project-option"
      data-id={project?.id ?? ''}
      aria-selected={(project?.id ?? null) === currentId}
      className={(project ? 'nabla-mod-inner' : '') + mark}
    >
      <span>{project?.name ?? props.none}</span>
      {project?.archived && <small>{trans.__('archived')}</small>}
    </li>
  );
}

function TeamRow(
  props: Props & {
    group: TeamGroup;
    events: { id: string; onPointerMove: () => void; onClick: () => void };
    mark: string;
  }
) {
  const { group, events, mark, trans, onTeam, onNew, onDone } = props;
  const { kind, role, name } = group;
  const leads = Boolean(onTeam) && kind !== 'shared';
  const note =
    kind === 'shared'
      ? trans.__('shared with me')
      : kind === 'private'
        ? trans.__('only me')
        : role
          ? roleName(role, trans)
          : '';
  return (
    <li
      {...events}
      role="option"
      data-nabla="team-option"
      data-id={group.id}
      aria-selected="false"
      aria-disabled={!leads}
      aria-label={leads ? trans.__('Open the page of the team %1', name) : name}
      title={leads ? trans.__('Open the page of the team %1', name) : undefined}
      className={`nabla-mod-group${mark}`}
    >
      <span>{name}</span>
      <small>{note}</small>
      {onNew && kind !== 'shared' && role !== 'viewer' && (
        <button
          type="button"
          tabIndex={-1}
          className="nabla-IconButton"
          data-nabla="new-in-team"
          aria-label={trans.__('Make a project in %1', name)}
          title={trans.__('Make a project in %1', name)}
          onClick={event => {
            event.stopPropagation();
            onDone();
            onNew(group.id);
          }}
        >
          <addIcon.react tag="span" />
        </button>
      )}
    </li>
  );
}
