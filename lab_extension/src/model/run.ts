import type { ICell } from '@jupyterlab/nbformat';
import type { IDisposable } from '@lumino/disposable';
import type { PartialJSONObject } from '@lumino/coreutils';
import { Signal, type ISignal } from '@lumino/signaling';
import { ApiError, type Api, type WorkFile } from '../api/client';
import type { RunMessage } from '../api/events';
import type { Follower, PageStream } from '../api/stream';
import type { Change, NotebookSummary, Run, Snapshot } from '../generated/api';
import type { ProjectsModel } from './projects';
import { Replay } from './replay';
import { isFinal } from './states';

const SOON = 200;

/** What a run wrote, and what its snapshot brought along. */
export interface RunFiles {
  written: WorkFile[];
  brought: WorkFile[];
}

/** One run as its page shows it: the row, kept fresh, and its notebook, live while it runs. */
export class RunModel implements IDisposable, Follower {
  constructor(
    readonly id: string,
    private readonly _api: Api,
    private readonly _stream: PageStream,
    private readonly _projects: ProjectsModel
  ) {
    _stream.changed.connect(this._onChange, this);
    _stream.resumed.connect(this._onResumed, this);
    _stream.connectedChanged.connect(this._emit, this);
    _stream.accessChanged.connect(this._onAccess, this);
    _stream.start();
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  readonly replay = new Replay();
  run: Run | null = null;
  /** Why the run cannot be shown, or what the last action met: a sentence. */
  error: string | null = null;
  /** Whether it was deleted. */
  gone = false;
  /** Whether it was in sight and is not any more. */
  lost = false;
  /** Why there is no notebook to see although the run is final. */
  noNotebook: string | null = null;
  offset = 0;
  isDisposed = false;

  get connected(): boolean {
    return this._stream.connected;
  }

  /** Whether nothing of it is to be seen any more. */
  get closed(): boolean {
    return this.gone || this.lost;
  }

  /** The name of the team that it is in, as far as that was ever known. */
  get team(): string {
    return this._projects.teamNames.get(this.run?.team ?? '') ?? '';
  }

  /** Fetch the row, then the notebook: at once when it is final, from the event log otherwise. */
  async load(): Promise<void> {
    // Which teams are in sight is what tells later why the run is not.
    void this._projects.load();
    await this._fetch();
    if (!this.run || this.closed || this.isDisposed) {
      return;
    }
    if (isFinal(this.run.state)) {
      await this._loadNotebook();
    } else {
      this._follow ??= this._stream.follow(this.id, this);
    }
  }

  receive({ id, event }: RunMessage): void {
    this.offset = id;
    this.replay.apply(event);
    if (event.type === 'end') {
      this._unfollow();
    }
    if (event.type === 'end' || event.type === 'kernel' || event.type === 'start') {
      this._refreshSoon();
    }
  }

  cancel = (): Promise<void> =>
    this._act(async () => {
      this.run = await this._api.cancelRun(this.id);
    });

  delete = (): Promise<void> =>
    this._act(async () => {
      await this._api.deleteRun(this.id);
      this._close(true);
    });

  /** Give it other tags. */
  tag = (tags: string[]): Promise<void> =>
    this._act(async () => {
      await this._api.tag(this.id, tags);
      this.run = await this._api.run(this.id);
    });

  notebook = (): Promise<unknown> => this._api.runNotebook(this.id);

  blob = (path: string): Promise<Blob> =>
    this._api.blob(`runs/${this.id}/${path.split('/').map(encodeURIComponent).join('/')}`);

  /** Read the names, types and defaults of the notebook's parameters. */
  async summary(): Promise<NotebookSummary> {
    return this._api.inspect(await this.notebook(), this.run?.spec.notebook ?? '');
  }

  snapshot(): Promise<Snapshot> | null {
    return this.run?.snapshot ? this._api.snapshot(this.run.snapshot) : null;
  }

  /** List the run's folder, what it wrote apart from what it was given. */
  async files(): Promise<RunFiles> {
    const run = this.run;
    const [{ items }, manifest] = await Promise.all([
      this._api.runFiles(this.id),
      run?.snapshot ? this._api.snapshotFiles(run.snapshot).catch(() => null) : null
    ]);
    const given = new Map(manifest?.files.map(file => [file.path, file.size]));
    const started = run?.started ? Date.parse(run.started) : 0;
    const wrote = (file: WorkFile): boolean =>
      given.get(file.path) !== file.size || milliseconds(file.modified) > started + 1000;
    return {
      written: items.filter(wrote),
      brought: items.filter(file => !wrote(file))
    };
  }

  /** Read the log as it grows, piece by piece, until it ends or `signal` aborts. */
  async log(receive: (text: string) => void, signal: AbortSignal): Promise<void> {
    const follow = this.run !== null && !isFinal(this.run.state);
    const query = follow ? { follow: true } : {};
    const response = await this._api.fetch('GET', `runs/${this.id}/log`, { query, signal });
    const reader = response.body?.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const piece = await reader?.read();
      if (!piece || piece.done) {
        return;
      }
      receive(decoder.decode(piece.value, { stream: true }));
    }
  }

  dispose(): void {
    if (!this.isDisposed) {
      this.isDisposed = true;
      clearTimeout(this._timer);
      this._unfollow();
      this._stream.changed.disconnect(this._onChange, this);
      this._stream.resumed.disconnect(this._onResumed, this);
      this._stream.connectedChanged.disconnect(this._emit, this);
      this._stream.accessChanged.disconnect(this._onAccess, this);
      Signal.clearData(this.replay);
      Signal.clearData(this);
    }
  }

  private async _fetch(): Promise<void> {
    try {
      this.run = await this._api.run(this.id);
      this.error = null;
      this.lost = false;
    } catch (error) {
      this.error = (error as Error).message;
      if (error instanceof ApiError && error.status === 404) {
        if (this.run) {
          // Deleted or out of sight: who the caller is now tells which.
          await this._projects.refresh();
        }
        this._refused = this._projects.gains;
        this._close(this.run !== null && this._inSight(this.run));
      }
    }
    this._emit();
  }

  /** Whether what the run belongs to is in sight, so that it must have been deleted if it is not. */
  private _inSight({ team, project }: Run): boolean {
    const { items } = this._projects;
    return this._projects.isOurs({ team }) || items.some(({ id }) => id === project);
  }

  /** Follow it no more: it was deleted, or is out of sight. */
  private _close(deleted: boolean): void {
    this.gone = deleted;
    this.lost = !deleted;
    clearTimeout(this._timer);
    this._timer = undefined;
    this._unfollow();
  }

  private async _loadNotebook(): Promise<void> {
    try {
      const notebook = await this.notebook();
      this.replay.load(notebook as { cells: ICell[]; metadata: PartialJSONObject });
      this.noNotebook = null;
    } catch (error) {
      this.noNotebook = (error as Error).message;
    }
    this._emit();
  }

  private async _act(action: () => Promise<void>): Promise<void> {
    try {
      await action();
      this.error = null;
    } catch (error) {
      this.error = (error as Error).message;
    }
    this._emit();
  }

  private _onChange(_: PageStream, change: Change): void {
    if (change.kind === 'run' && change.id === this.id) {
      if (change.deleted) {
        this._close(true);
        this._emit();
      } else {
        this._refreshSoon();
      }
    }
  }

  private _onResumed(): void {
    if (this.run && !isFinal(this.run.state)) {
      this._refreshSoon();
    } else if (!this.run && !this.closed) {
      void this.load();
    }
  }

  /** Close it off when it went out of sight, and go on when it may have come back. */
  private _onAccess(): void {
    if (this.gone) {
      return;
    }
    if (this.run && !this.lost && !this._projects.sees(this.run.team)) {
      this._close(false);
      this._emit();
    } else if (this.lost) {
      const mayBeBack = !this.run || this._projects.sees(this.run.team);
      if (mayBeBack && this._refused !== this._projects.gains) {
        void this.load();
      }
    } else if (!this.run) {
      this._onResumed();
    } else {
      this._refreshSoon();
    }
  }

  private _refreshSoon(): void {
    if (this.closed) {
      return;
    }
    this._timer ??= window.setTimeout(() => {
      this._timer = undefined;
      void this._fetch().then(() => {
        // A run that never got to its notebook sends no last event.
        const { run, closed } = this;
        if (run && !closed && isFinal(run.state) && !this.replay.ready && !this.noNotebook) {
          void this._loadNotebook();
        }
      });
    }, SOON);
  }

  private _unfollow(): void {
    this._follow?.dispose();
    this._follow = null;
  }

  private _emit(): void {
    if (!this.isDisposed) {
      this._changed.emit();
    }
  }

  private readonly _changed = new Signal<this, void>(this);
  private _follow: IDisposable | null = null;
  private _timer: number | undefined;
  /** What the `gains` of the projects were when the run was refused. */
  private _refused = -1;
}

/** A file's time of change in milliseconds: the service gives seconds, or a date in ISO form. */
function milliseconds(modified: number | string): number {
  return typeof modified === 'number' ? modified * 1000 : Date.parse(modified);
}
