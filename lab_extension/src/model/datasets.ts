import { Signal, type ISignal } from '@lumino/signaling';
import type { DatasetRoutes } from '../api/datasets';
import type { PageStream } from '../api/stream';
import type { Change, Dataset } from '../generated/api';
import { PagedList } from './paged';
import type { ProjectsModel } from './projects';

const PAGE = 50;
const SOON = 300;
/** Stands for the team of what everybody may read. */
export const PUBLIC = 'public';

/** The tags of a version, those that were set last being no better than others: by name. */
export function tagsOf(dataset: Pick<Dataset, 'version_tags'>, version: string): string[] {
  return Object.entries(dataset.version_tags)
    .filter(([, named]) => named === version)
    .map(([tag]) => tag)
    .sort((one, other) => other.localeCompare(one, undefined, { numeric: true }));
}

/** What a dataset's newest version is called: by a tag if it has one, else by its seven characters. */
export function newest(dataset: Pick<Dataset, 'version_tags' | 'latest'>): string {
  return tagsOf(dataset, dataset.latest)[0] ?? dataset.latest;
}

/** The datasets of the team that the panels show, kept fresh by the page's stream. */
export class DatasetList extends PagedList<Dataset> {
  constructor(
    private readonly _routes: DatasetRoutes,
    private readonly _stream: PageStream,
    private readonly _projects: ProjectsModel,
    /** The team whose datasets are listed; without it that of the project that the panels show. */
    private readonly _team = (): string | null => _projects.current?.team ?? null
  ) {
    super((cursor, limit) => _routes.list({ cursor, limit, team: this.team }), PAGE);
    _projects.currentChanged.connect(this._onSwitch, this);
  }

  /** The inline form for a new dataset shall open. */
  get asked(): ISignal<this, void> {
    return this._asked;
  }

  /** Id of the team whose datasets these are; null: all that the caller is in. */
  get team(): string | null {
    return this._team();
  }

  ask(): void {
    this._wanted = true;
    this._asked.emit();
  }

  /** Tell, once, whether a new dataset was asked for. */
  take(): boolean {
    const wanted = this._wanted;
    this._wanted = false;
    return wanted;
  }

  start(): void {
    if (!this._live) {
      this._live = true;
      this._stream.start();
      this._stream.changed.connect(this._onChange, this);
      this._stream.resumed.connect(this._soon, this);
      this._stream.accessChanged.connect(this._soon, this);
    }
    void this._projects.load().then(() => (this._live ? this.refresh() : undefined));
  }

  pause(): void {
    this._live = false;
    clearTimeout(this._timer);
    this._timer = undefined;
    this._stream.changed.disconnect(this._onChange, this);
    this._stream.resumed.disconnect(this._soon, this);
    this._stream.accessChanged.disconnect(this._soon, this);
  }

  async create(name: string): Promise<Dataset> {
    const dataset = await this._routes.create({ name, team: this.team });
    if (!this.put(dataset)) {
      void this.refresh();
    }
    return dataset;
  }

  override dispose(): void {
    this.pause();
    this._projects.currentChanged.disconnect(this._onSwitch, this);
    super.dispose();
    Signal.clearData(this);
  }

  private _onSwitch(): void {
    if (this.team !== this._shown) {
      this._shown = this.team;
      void this.reset();
    }
  }

  private _onChange(_: PageStream, change: Change): void {
    if (change.kind === 'dataset') {
      if (change.deleted) {
        this.drop(change.id);
      } else {
        this._soon();
      }
    }
  }

  private _soon(): void {
    this._timer ??= window.setTimeout(() => {
      this._timer = undefined;
      void this.reload();
    }, SOON);
  }

  private readonly _asked = new Signal<this, void>(this);
  private _wanted = false;
  private _live = false;
  private _timer: number | undefined;
  private _shown: string | null | undefined;
}
