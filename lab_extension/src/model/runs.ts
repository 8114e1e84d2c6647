import { Poll } from '@lumino/polling';
import { ApiError, type Api } from '../api/client';
import type { PageStream } from '../api/stream';
import type { Change, Run } from '../generated/api';
import { isFinal } from './states';
import { PagedList } from './paged';

const BUSY = 4_000;
const QUIET = 60_000;
const SOON = 300;

/** What a run is while it is not final. */
export const ACTIVE_STATES = ['Pending', 'Running'];

/** Put what is active before what is final, so that newer runs that have ended never push it down. */
export function activeFirst(active: readonly Run[], all: readonly Run[]): Run[] {
  const known = new Map(all.map(run => [run.id, run]));
  const isActive = ({ state }: Run): boolean => !isFinal(state);
  // Of a run that is in both, the list that was asked last knows better.
  const newest = (run: Run): Run => {
    const other = known.get(run.id);
    return other && other.version > run.version ? other : run;
  };
  const first = new Map([...active.map(newest), ...all].filter(isActive).map(run => [run.id, run]));
  const rest = all.filter(({ id, state }) => isFinal(state) && !first.has(id));
  return [...[...first.values()].sort((a, b) => b.created.localeCompare(a.created)), ...rest];
}

export interface RunFilter {
  project?: string | null;
  state?: string | readonly string[];
  q?: string;
}

/** Runs, newest first: kept fresh by the page's stream, and by a slow poll where that is lost. */
export class RunList extends PagedList<Run> {
  constructor(
    private readonly _api: Api,
    private readonly _stream: PageStream,
    private _filter: RunFilter = {},
    limit = 50,
    /** Whether what the runs belong to is in sight: else nothing is asked for. */
    private readonly _inSight: () => boolean = () => true
  ) {
    super((cursor, size) => _api.runs({ ...this._filter, cursor, limit: size }), limit);
    this._poll = new Poll({
      auto: false,
      name: 'nabla-hub:runs',
      factory: () => this.refresh(),
      frequency: { interval: QUIET, backoff: true, max: 5 * QUIET },
      standby: 'when-hidden'
    });
    _stream.changed.connect(this._onChange, this);
    _stream.resumed.connect(this._onResumed, this);
    _stream.accessChanged.connect(this._onAccess, this);
    this.changed.connect(this._adapt, this);
  }

  get filter(): RunFilter {
    return this._filter;
  }

  /** Show other runs: those that `filter` describes, what it leaves out staying as it is. */
  where(filter: RunFilter): void {
    this._filter = { ...this._filter, ...filter };
    void this.reset();
  }

  /** Fetch the first page and keep the list fresh from now on. */
  start(): void {
    this._stream.start();
    void this._poll.start();
    void this._poll.refresh();
  }

  /** Stop asking, while nobody looks. */
  pause(): void {
    void this._poll.stop();
  }

  async cancel(run: Run): Promise<void> {
    this.put(await this._api.cancelRun(run.id));
  }

  async delete(run: Run): Promise<void> {
    await this._api.deleteRun(run.id);
    this.drop(run.id);
  }

  override dispose(): void {
    clearTimeout(this._timer);
    this._stream.changed.disconnect(this._onChange, this);
    this._stream.resumed.disconnect(this._onResumed, this);
    this._stream.accessChanged.disconnect(this._onAccess, this);
    this._poll.dispose();
    super.dispose();
  }

  private _onResumed(): void {
    if ((this.ready || this.error) && this._inSight()) {
      void this.refresh();
    }
  }

  private _onAccess(): void {
    if (this.ready && this._inSight()) {
      void this.reload();
    }
  }

  private _onChange(_: PageStream, change: Change): void {
    if (change.kind !== 'run' || !this.ready) {
      return;
    }
    if (change.deleted) {
      this.drop(change.id);
      return;
    }
    if (this._filter.project && change.project && change.project !== this._filter.project) {
      return;
    }
    this._stale.add(change.id);
    this._timer ??= window.setTimeout(() => void this._catchUp(), SOON);
  }

  /** Fetch what changed: one row by itself, several or a new one with the first page. */
  private async _catchUp(): Promise<void> {
    this._timer = undefined;
    const ids = [...this._stale];
    this._stale.clear();
    const [only] = ids;
    const shown = this.items.some(item => item.id === only);
    if (ids.length > 1 || !only || !shown || this._filter.state || this._filter.q) {
      await this.refresh();
      return;
    }
    await this._api.run(only).then(
      run => this.put(run),
      (error: Error) => {
        // What was refused is out of sight: so may be all that is listed here.
        const gone = error instanceof ApiError && error.status === 404;
        return gone ? this.drop(only) : this.refresh();
      }
    );
  }

  private _adapt(): void {
    const busy = this.items.some(run => !isFinal(run.state));
    const interval = busy ? BUSY : QUIET;
    if (this._poll.frequency.interval !== interval) {
      this._poll.frequency = { ...this._poll.frequency, interval };
    }
  }

  private readonly _poll: Poll;
  private readonly _stale = new Set<string>();
  private _timer: number | undefined;
}
