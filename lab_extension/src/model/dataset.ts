import { Signal, type ISignal } from '@lumino/signaling';
import { ApiError, type Api } from '../api/client';
import { DatasetRoutes } from '../api/datasets';
import type { PageStream } from '../api/stream';
import type { Change, Dataset, DatasetChange, DatasetVersion } from '../generated/api';
import { PUBLIC, tagsOf } from './datasets';
import { PagedList } from './paged';
import type { ProjectsModel } from './projects';
import { FileTree } from './tree';

const PAGE = 50;
const SOON = 250;

/** Whether files may still be put into a version. */
export function isOpen({ state }: DatasetVersion): boolean {
  return state === 'Uncommitted';
}

/** One dataset as its page shows it: the row, its versions, and the files of the one that is chosen. */
export class DatasetModel {
  constructor(
    readonly id: string,
    private readonly _api: Api,
    private readonly _stream: PageStream,
    readonly projects: ProjectsModel
  ) {
    this.routes = new DatasetRoutes(_api);
    this.versions = new PagedList<DatasetVersion>(
      (cursor, limit) => this.routes.versions(id, { cursor, limit }),
      PAGE
    );
    this.versions.changed.connect(this._onVersions, this);
    _stream.changed.connect(this._onChange, this);
    _stream.resumed.connect(this._onResumed, this);
    _stream.accessChanged.connect(this._onResumed, this);
    projects.changed.connect(this._emit, this);
    _stream.start();
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  readonly routes: DatasetRoutes;
  readonly versions: PagedList<DatasetVersion>;
  dataset: Dataset | null = null;
  /** Where its contents lie, as its owner calls that; empty: not known. */
  storage = '';
  /** The version whose files are shown; empty: none. */
  chosen = '';
  /** The files of the chosen version. */
  tree: FileTree | null = null;
  error: string | null = null;
  gone = false;
  lost = false;

  get closed(): boolean {
    return this.gone || this.lost;
  }

  get version(): DatasetVersion | null {
    return this.versions.items.find(({ name }) => name === this.chosen) ?? this._extra;
  }

  /** Whether the caller may put files into it. */
  get writable(): boolean {
    const { dataset, projects } = this;
    const role = dataset && projects.role(dataset.team);
    return role !== null && role !== 'viewer';
  }

  /** The caller's uncommitted version that was begun last. */
  get draft(): DatasetVersion | null {
    const user = this.projects.me?.user;
    return this.versions.items.find(version => isOpen(version) && version.owner === user) ?? null;
  }

  /** How the dataset is referred to by who may see it. */
  get name(): string {
    const { dataset } = this;
    return dataset?.team === PUBLIC ? `${PUBLIC}/${dataset.name}` : (dataset?.name ?? '');
  }

  /** How the chosen version is referred to. */
  get reference(): string {
    const { dataset, chosen, name } = this;
    if (!dataset || !chosen || chosen === dataset.latest) {
      return `${name}:latest`;
    }
    return `${name}:${tagsOf(dataset, chosen)[0] ?? chosen}`;
  }

  async load(): Promise<void> {
    void this.projects.load();
    await this._fetch();
    if (this.dataset && !this.closed) {
      await this.versions.refresh();
      if (!this.chosen) {
        this.choose(this.dataset.latest || (this.versions.items[0]?.name ?? ''));
      }
    }
  }

  /** Show the files of a version, which may be on no page of `versions` that was fetched. */
  choose(name: string): void {
    if (!name || (name === this.chosen && this.tree)) {
      return;
    }
    this.tree?.dispose();
    this.chosen = name;
    this.tree = new FileTree(
      query => this.routes.files(this.id, name, { ...query }),
      () => this.version?.files ?? null
    );
    this._extra = null;
    if (!this.versions.items.some(version => version.name === name)) {
      void this._recall(name);
    }
    void this.tree.load();
    this._emit();
  }

  change = (body: Partial<DatasetChange>): Promise<boolean> =>
    this.act(async () => {
      const version = this.dataset?.version;
      this.dataset = await this.routes.change(this.id, { ...body, version });
    });

  setTag = (tag: string, version: string): Promise<boolean> =>
    this.act(async () => {
      this.dataset = await this.routes.setTag(this.id, tag, version);
    });

  removeTag = (tag: string): Promise<boolean> =>
    this.act(async () => {
      await this.routes.removeTag(this.id, tag);
      await this._fetch();
    });

  say = (version: DatasetVersion, message: string): Promise<boolean> =>
    this.act(async () => {
      this.versions.put(
        await this.routes.changeVersion(this.id, version.name, {
          message,
          version: version.version
        })
      );
    });

  /** Begin a version, empty or with the files of another, and show it. */
  begin = async (base: string | null): Promise<DatasetVersion> => {
    const version = await this.routes.begin(this.id, base ? { base } : {});
    await this.versions.refresh();
    this.choose(version.name);
    return version;
  };

  /** Commit a version with what `message` says of it. */
  commit = (version: DatasetVersion, message: string): Promise<boolean> =>
    this.act(async () => {
      const { id, routes } = this;
      if (message !== version.message) {
        await routes.changeVersion(id, version.name, { message });
      }
      this.versions.put(await routes.commit(id, version.name));
    });

  deleteVersion = (version: DatasetVersion): Promise<boolean> =>
    this.act(async () => {
      await this.routes.deleteVersion(this.id, version.name);
      this.versions.drop(version.id);
      this._leave(version.name);
      await this._fetch();
    });

  removeFile = (path: string): Promise<boolean> =>
    this.act(async () => {
      await this.routes.removeFiles(this.id, this.chosen, [path]);
      await this.refreshFiles();
    });

  /** Fetch anew what is shown of the chosen version, whose files changed. */
  async refreshFiles(): Promise<void> {
    await Promise.all([this.versions.refresh(), this.tree?.refresh()]);
  }

  delete = (): Promise<boolean> =>
    this.act(async () => {
      await this.routes.delete(this.id);
      this.gone = true;
    });

  /** Let the version show beside the person's notebooks; null while it is being laid out. */
  mountHere = async (): Promise<string | null> => {
    const { path, state, reason } = await this._api.mountDataset(`${this.id}:${this.chosen}`);
    if (state === 'Failed') {
      throw new Error(reason);
    }
    return state === 'Ready' ? path : null;
  };

  /** Do what a person asked for; tells whether it was done, `error` saying why not. */
  async act(action: () => Promise<void>): Promise<boolean> {
    try {
      await action();
      this.error = null;
    } catch (error) {
      this.error = (error as Error).message;
    }
    this._emit();
    return this.error === null;
  }

  dispose(): void {
    clearTimeout(this._timer);
    this._stream.changed.disconnect(this._onChange, this);
    this._stream.resumed.disconnect(this._onResumed, this);
    this._stream.accessChanged.disconnect(this._onResumed, this);
    this.projects.changed.disconnect(this._emit, this);
    this.versions.dispose();
    this.tree?.dispose();
    Signal.clearData(this);
  }

  private async _fetch(): Promise<void> {
    try {
      const dataset = await this.routes.get(this.id);
      if (dataset.storage_provider !== this.dataset?.storage_provider) {
        this.storage = await this._api.storageProvider(dataset.storage_provider).then(
          ({ name }) => name,
          () => ''
        );
      }
      this.dataset = dataset;
      this.lost = false;
    } catch (error) {
      this.error = (error as Error).message;
      this.lost = error instanceof ApiError && [403, 404].includes(error.status);
    }
    this._emit();
  }

  private async _recall(name: string): Promise<void> {
    const version = await this.routes.version(this.id, name).catch(() => null);
    if (this.chosen === name) {
      this._extra = version;
      // A tag or `latest` was asked for.
      if (version && version.name !== name) {
        this.choose(version.name);
      }
      this._emit();
    }
  }

  private _leave(name: string): void {
    if (this.chosen === name) {
      this.tree?.dispose();
      this.tree = null;
      this.chosen = '';
      this.choose(this.versions.items[0]?.name ?? '');
    }
  }

  private _onVersions(): void {
    if (!this.chosen && this.versions.items[0]) {
      this.choose(this.versions.items[0].name);
    }
    this._emit();
  }

  private _onResumed(): void {
    if (!this.gone) {
      this._soon();
    }
  }

  private _onChange(_: PageStream, { kind, id, deleted }: Change): void {
    if (kind === 'dataset' && id === this.id) {
      if (deleted) {
        this.gone = true;
        this._emit();
      } else {
        this._soon();
      }
    } else if (kind === 'dataset version' && id.startsWith(`${this.id}:`)) {
      if (deleted) {
        this.versions.drop(id);
        this._leave(id.slice(this.id.length + 1));
      }
      this._soon();
    }
  }

  private _soon(): void {
    this._timer ??= window.setTimeout(() => {
      this._timer = undefined;
      const before = this.version;
      const stale = !this.dataset || this.lost;
      void this._fetch().then(async () => {
        if (this.closed) {
          return;
        }
        await (stale ? this.load() : this.versions.refresh());
        const after = this.version;
        // Only the files of a version that is not committed change.
        if (before && after && (before.files !== after.files || before.size !== after.size)) {
          await this.tree?.refresh();
        }
      });
    }, SOON);
  }

  private _emit(): void {
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  /** The chosen version, where no page that was fetched has it. */
  private _extra: DatasetVersion | null = null;
  private _timer: number | undefined;
}
