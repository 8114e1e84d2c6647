import { Signal, type ISignal } from '@lumino/signaling';
import type { Api } from '../api/client';
import type { PageStream } from '../api/stream';
import type {
  Change,
  Me,
  NewProject,
  Project,
  ProjectChange,
  ProjectDeletion
} from '../generated/api';

const KEPT = 'nabla-hub:project';
const MOST = 200;

/** The projects that the caller may see, and the one that the panels show. */
export class ProjectsModel {
  constructor(
    private readonly _api: Api,
    stream: PageStream
  ) {
    this._currentId = localStorage.getItem(KEPT);
    stream.changed.connect(this._onChange, this);
    stream.resumed.connect(this._onResumed, this);
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The project shown was switched. */
  get currentChanged(): ISignal<this, void> {
    return this._currentChanged;
  }

  items: readonly Project[] = [];
  /** Whether there are more than `items`. */
  more = false;
  me: Me | null = null;
  error: string | null = null;
  ready = false;

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
    try {
      const [me, page] = await Promise.all([
        this.me ?? this._api.me(),
        this._api.projects({ limit: MOST, archived: false })
      ]);
      this.me = me;
      this.items = page.items;
      this.more = Boolean(page.cursor);
      this.error = null;
      this.ready = true;
      if (this._currentId && !this.current) {
        await this._recall(this._currentId);
      }
    } catch (error) {
      this.error = (error as Error).message;
      this._loading = null;
    }
    this._changed.emit();
  }

  /** Ask the service for projects whose name, description or tags hold `text`. */
  async search(text: string, archived = false): Promise<readonly Project[]> {
    if (!text && !archived) {
      return this.items;
    }
    return (await this._api.projects({ q: text, limit: 50, archived })).items;
  }

  select(project: Project | null): void {
    if (project) {
      this._put(project);
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

  /** How the caller's team of a project is called. */
  teamName(project: Project): string {
    return this.me?.teams[project.team] ?? project.team;
  }

  private async _recall(id: string): Promise<void> {
    await this._api.project(id).then(
      project => this._put(project),
      () => this.select(null)
    );
  }

  private _put(project: Project): void {
    const index = this.items.findIndex(known => known.id === project.id);
    this.items = index < 0 ? [project, ...this.items] : this.items.with(index, project);
  }

  private _forget(id: string): void {
    this.items = this.items.filter(project => project.id !== id);
    if (this._currentId === id) {
      this.select(null);
    }
    this._changed.emit();
  }

  private _onResumed(): void {
    if (this.ready || this.error) {
      void this.refresh();
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
  private _currentId: string | null;
  private _loading: Promise<void> | null = null;
}
