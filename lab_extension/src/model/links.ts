import { Signal, type ISignal } from '@lumino/signaling';
import type { Api } from '../api/client';
import type { Link, Snapshot } from '../generated/api';
import type { ProjectsModel } from './projects';

/** What a link shows: the notebook of a run as far as it got, or one of the caller's own files as saved. */
export type LinkTarget = { run: string; project: string | null } | { path: string };

const MOST = 200;

/** The links to a notebook, and how to make one. */
export class LinksModel {
  constructor(
    readonly target: LinkTarget,
    private readonly _api: Api,
    readonly projects: ProjectsModel
  ) {
    this.project = 'run' in target ? target.project : projects.currentId;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  items: readonly Link[] = [];
  error: string | null = null;
  busy = false;
  /** The files that go with a notebook of one's own, once they have been packed. */
  snapshot: Snapshot | null = null;
  /** The address of the link that was made last: it is told this once. */
  address = '';
  warnings: readonly string[] = [];

  audience: Link['audience'] = 'users';
  /** For how many days; null: without an end. */
  days: number | null = 30;
  project: string | null;

  update(change: Partial<Pick<LinksModel, 'audience' | 'days' | 'project'>>): void {
    Object.assign(this, change);
    this._changed.emit();
  }

  /** Fetch the links that there are. */
  async load(): Promise<void> {
    const { target } = this;
    await this.projects.load();
    const query = { limit: MOST, project: 'run' in target ? target.project : null };
    const page = await this._api.links(query).catch(() => null);
    const user = this.projects.me?.user;
    this.items = (page?.items ?? []).filter(link =>
      'run' in target
        ? link.run === target.run
        : link.owner === user && link.snapshot !== null && link.path === nameOf(target.path)
    );
    this._changed.emit();
  }

  /** Make a link; its address is in `address` afterwards, or `error` says why there is none. */
  async create(): Promise<void> {
    const { audience, days, project } = this;
    await this._act(async () => {
      const made = await this._api.createLink({
        ...(await this._shown()),
        project,
        audience,
        days
      });
      this.items = [made.link, ...this.items];
      this.address = this._api.page(made.url);
      this.warnings = made.warnings;
    });
  }

  async remove(link: Link): Promise<void> {
    await this._act(async () => {
      await this._api.deleteLink(link.id);
      this.items = this.items.filter(({ id }) => id !== link.id);
      this.address = '';
    });
  }

  dispose(): void {
    Signal.clearData(this);
  }

  private async _shown(): Promise<{ run: string } | { snapshot: string; path: string }> {
    const { target } = this;
    if ('run' in target) {
      return { run: target.run };
    }
    const packed = await this._api.pack(target.path, this.project);
    this.snapshot = packed.snapshot;
    return { snapshot: packed.snapshot.id, path: packed.notebook };
  }

  private async _act(action: () => Promise<void>): Promise<void> {
    this.busy = true;
    this.error = null;
    this._changed.emit();
    try {
      await action();
    } catch (error) {
      this.error = (error as Error).message;
    }
    this.busy = false;
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
}

/** The path of a notebook in the snapshot of its folder. */
function nameOf(path: string): string {
  return path.split('/').pop() ?? path;
}
