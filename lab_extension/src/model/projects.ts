import { Signal, type ISignal } from '@lumino/signaling';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ApiError, type Api } from '../api/client';
import type { PageStream } from '../api/stream';
import type {
  Change,
  Me,
  NewProject,
  Project,
  ProjectChange,
  ProjectDeletion,
  Role
} from '../generated/api';
import { PagedList } from './paged';

const KEPT = 'nabla-hub:project';
const PAGE = 200;

/** A team as the lists group by it, with those of its projects that have been fetched. */
export interface TeamGroup {
  id: string;
  name: string;
  /** `shared`: the caller is not in it, but some of its projects are open to them. */
  kind: 'private' | 'team' | 'shared';
  /** The caller's role in it, if they are in it. */
  role: Role | null;
  projects: Project[];
}

/** Group projects by team: the caller's private team first, teams by name, then what others share. */
export function groupProjects(projects: readonly Project[], me: Me | null): TeamGroup[] {
  const groups = new Map<string, TeamGroup>();
  for (const [id, name] of Object.entries(me?.teams ?? {})) {
    const kind = id === me?.team ? 'private' : 'team';
    groups.set(id, { id, name, kind, role: me?.roles[id] ?? null, projects: [] });
  }
  for (const project of projects) {
    const { team } = project;
    const group = groups.get(team) ?? {
      id: team,
      name: me?.lenders[team] ?? team,
      kind: 'shared',
      role: null,
      projects: []
    };
    group.projects.push(project);
    groups.set(team, group);
  }
  const order = { private: 0, team: 1, shared: 2 };
  return [...groups.values()].sort(
    (one, other) => order[one.kind] - order[other.kind] || one.name.localeCompare(other.name)
  );
}

/** The teams and projects that the caller may see, and the project that the panels show. */
export class ProjectsModel {
  constructor(
    private readonly _api: Api,
    stream: PageStream,
    private readonly _trans: TranslationBundle
  ) {
    this._currentId = localStorage.getItem(KEPT);
    this._list = new PagedList<Project>(
      (cursor, limit) => _api.projects({ cursor, limit, archived: false }),
      PAGE
    );
    stream.changed.connect(this._onChange, this);
    stream.resumed.connect(this._onAccess, this);
    stream.learn(() => this._onAccess());
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The project shown was switched. */
  get currentChanged(): ISignal<this, void> {
    return this._currentChanged;
  }

  me: Me | null = null;
  error: string | null = null;
  ready = false;
  /** How often more came into sight than there was: what was refused need not be asked for before. */
  gains = 0;
  /** The names of all teams that this page ever saw, by id. */
  readonly teamNames = new Map<string, string>();

  /** What happened to the caller's teams while nobody asked: a sentence, until it is read. */
  get notice(): string | null {
    const names = [...this._lost.values()].map(name => `“${name}”`);
    return names.length
      ? this._trans._n(
          'You are not in the team %2 any more: it and its projects are not shown here now.',
          'You are not in the teams %2 any more: they and their projects are not shown here now.',
          names.length,
          names.join(', ')
        )
      : null;
  }

  get items(): readonly Project[] {
    const { items } = this._list;
    const extra = this._extra.filter(({ id }) => !items.some(item => item.id === id));
    return extra.length ? [...extra, ...items] : items;
  }

  /** Whether there are more than `items`. */
  get more(): boolean {
    return this._list.ready && !this._list.complete;
  }

  /** The project that the panels show; null: all of them. */
  get current(): Project | null {
    return this.items.find(project => project.id === this._currentId) ?? null;
  }

  get currentId(): string | null {
    return this._currentId;
  }

  /** Fetch who the caller is and what projects there are; later calls are the first. */
  load(): Promise<void> {
    this._loading ??= this.refresh();
    return this._loading;
  }

  async refresh(): Promise<void> {
    const { current } = this;
    try {
      const [me] = await Promise.all([this._api.me(), this._list.reload()]);
      if (this._list.error) {
        throw new Error(this._list.error);
      }
      this._compare(me);
      this.me = me;
      // What a team lent or held may be out of sight now; only what the lists show is sure.
      this._extra = this._extra.filter(({ team }) => team in me.teams || team in me.lenders);
      this.error = null;
      this.ready = true;
      if (current && current.id === this._currentId && !this.sees(current.team)) {
        this.select(null);
      } else if (this._currentId && !this._list.items.some(({ id }) => id === this._currentId)) {
        await this._recall(this._currentId);
      }
    } catch (error) {
      this.error = (error as Error).message;
      this._loading = null;
    }
    this._changed.emit();
  }

  /** Fetch the next page of projects. */
  async fetchMore(): Promise<void> {
    await this._list.more();
    this._changed.emit();
  }

  /** Ask the service for projects whose name, description or tags hold `text`. */
  async search(text: string, archived = false): Promise<readonly Project[]> {
    if (!text && !archived) {
      return this.items;
    }
    return (await this._api.projects({ q: text, limit: 50, archived })).items;
  }

  /** Keep a project among `items`, which a search may have brought from beyond the pages there are. */
  remember(project: Project): void {
    this._extra = [project, ...this._extra.filter(({ id }) => id !== project.id)].slice(0, 20);
    this._list.put(project);
  }

  select(project: Project | null): void {
    if (project) {
      this.remember(project);
      localStorage.setItem(KEPT, project.id);
    } else {
      localStorage.removeItem(KEPT);
    }
    this._currentId = project?.id ?? null;
    this._changed.emit();
    this._currentChanged.emit();
  }

  async create(body: NewProject): Promise<Project> {
    const project = await this._api.createProject(body);
    this.select(project);
    void this._list.refresh().then(() => this._changed.emit());
    return project;
  }

  async change(id: string, body: ProjectChange): Promise<Project> {
    const project = await this._api.changeProject(id, body);
    this._put(project);
    this._changed.emit();
    return project;
  }

  /** Delete a project; without `confirm` only learn what would go with it. */
  async delete(id: string, confirm: boolean): Promise<ProjectDeletion> {
    const answer = await this._api.deleteProject(id, confirm);
    if (answer.deleted) {
      this._forget(id);
    }
    return answer;
  }

  /** How the team of a project is called. */
  teamName({ team }: { team: string }): string {
    return this.teamNames.get(team) ?? team;
  }

  /** Whether something of this team may be in sight: false only where it is sure that it is not. */
  sees(team: string): boolean {
    const { me } = this;
    return !me || team in me.teams || team in me.lenders;
  }

  /** Whether the caller is in the team that a project belongs to. */
  isOurs({ team }: { team: string }): boolean {
    return !this.me || team in this.me.teams;
  }

  /** The caller's role in a team; null where they are in none, or it is not known. */
  role(team: string): Role | null {
    return this.me?.roles[team] ?? null;
  }

  /** The teams that the caller may make a project in, their private one first. */
  get ownTeams(): TeamGroup[] {
    return groupProjects([], this.me).filter(({ role }) => role !== 'viewer');
  }

  dismiss(): void {
    this._lost.clear();
    this._changed.emit();
  }

  /** Learn what came and what went since `me` was asked for last. */
  private _compare(me: Me): void {
    const seen = [me.teams, me.lenders].flatMap(teams => Object.entries(teams));
    for (const [id, name] of Object.entries(this.me?.teams ?? {})) {
      if (!(id in me.teams) && !this._leaving.delete(id)) {
        this._lost.set(id, name);
      }
    }
    for (const [id, name] of seen) {
      this.teamNames.set(id, name);
    }
    for (const id of Object.keys(me.teams)) {
      this._lost.delete(id);
    }
    const ids = [...seen.map(([id]) => id), ...this._list.items.map(({ id }) => id)];
    this.gains += Number(ids.some(id => !this._seen.has(id)));
    this._seen = new Set(ids);
  }

  /** Say that the caller leaves a team by themselves, so that it is no news. */
  leaving(team: string): void {
    this._leaving.add(team);
  }

  private async _recall(id: string): Promise<void> {
    await this._api.project(id).then(
      project => this.remember(project),
      (error: Error) => {
        if (error instanceof ApiError && (error.status === 404 || error.status === 403)) {
          this.select(null);
        }
      }
    );
  }

  private _put(project: Project): void {
    this._extra = this._extra.map(known => (known.id === project.id ? project : known));
    this._list.put(project);
  }

  private _forget(id: string): void {
    this._list.drop(id);
    this._extra = this._extra.filter(project => project.id !== id);
    if (this._currentId === id) {
      this.select(null);
    }
    this._changed.emit();
  }

  private async _onAccess(): Promise<void> {
    if (this.ready || this.error) {
      await this.refresh();
    }
  }

  private _onChange(_: PageStream, change: Change): void {
    if (change.kind !== 'project' || !this.ready) {
      return;
    }
    if (change.deleted) {
      this._forget(change.id);
    } else if (!this.items.some(item => item.id === change.id && item.version >= change.version)) {
      void this.refresh();
    }
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _currentChanged = new Signal<this, void>(this);
  private readonly _list: PagedList<Project>;
  private readonly _leaving = new Set<string>();
  /** Names of the teams that the caller was taken out of, by id, until that is read. */
  private readonly _lost = new Map<string, string>();
  private _seen = new Set<string>();
  /** Projects that were asked for by themselves and may be on no page that was fetched. */
  private _extra: readonly Project[] = [];
  private _currentId: string | null;
  private _loading: Promise<void> | null = null;
}
