import type { IDisposable } from '@lumino/disposable';
import { Signal, type ISignal } from '@lumino/signaling';
import type { Change } from '../generated/api';
import { ApiError, type Api } from './client';
import type { RunMessage } from './events';
import { readEvents } from './sse';

const FIRST_WAIT = 500;
const LONGEST_WAIT = 20_000;
/** How many runs one stream may follow: those that were opened last. */
const FOLLOWED = 16;
/** Kinds of rows whose change may change who sees what: `accessChanged` follows them. */
export const ACCESS = new Set(['membership', 'share', 'team']);
const SOON = 60;

/** Someone who follows a run's event log: `offset` is where it has got to. */
export interface Follower {
  readonly offset: number;
  receive(message: RunMessage): void;
}

/**
 * The page's one event stream: changes of rows, and the logs of the runs that are open.
 *
 * It is reopened with the offsets that the followers have when their set changes and after every
 * loss, and closed while the page is hidden.
 */
export class PageStream implements IDisposable {
  constructor(private readonly _api: Api) {
    document.addEventListener('visibilitychange', this._visibility);
  }

  /** A row changed. */
  get changed(): ISignal<this, Change> {
    return this._changed;
  }

  /**
   * Who may see what changed, or may have, or changes went by unheard: all must be asked for anew.
   * What `learn` was given has been done by then.
   */
  get accessChanged(): ISignal<this, void> {
    return this._accessChanged;
  }

  /** The stream was opened, for the first time or to follow other runs. */
  get resumed(): ISignal<this, void> {
    return this._resumed;
  }

  /** Whether the stream stands; false only after it was lost. */
  get connected(): boolean {
    return this._connected;
  }

  get connectedChanged(): ISignal<this, boolean> {
    return this._connectedChanged;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Do `work` before anybody is told of a change of access, so that none asks for what is out of sight. */
  learn(work: () => Promise<void>): void {
    this._learn = work;
  }

  /** Open the stream, if it is not. */
  start(): void {
    if (!this._started) {
      this._started = true;
      this._reopen();
    }
  }

  /** Send the events of a run's log to `follower`, from its offset on, until the answer is disposed. */
  follow(run: string, follower: Follower): IDisposable {
    const followers = this._followers.get(run) ?? new Set();
    followers.add(follower);
    this._followers.set(run, followers);
    this._started = true;
    this._reopen();
    return {
      get isDisposed() {
        return !followers.has(follower);
      },
      dispose: () => {
        followers.delete(follower);
        if (!followers.size && this._followers.get(run) === followers) {
          this._followers.delete(run);
          this._reopen();
        }
      }
    };
  }

  /** Open the stream anew, because the caller may see more than when it was opened. */
  restart(): void {
    this._reopen();
    this._tellAccess();
  }

  dispose(): void {
    this._disposed = true;
    clearTimeout(this._access);
    this._abort?.abort();
    document.removeEventListener('visibilitychange', this._visibility);
    Signal.clearData(this);
  }

  private readonly _visibility = (): void => {
    this._missed = true;
    this._reopen();
  };

  private _reopen(): void {
    this._abort?.abort();
    this._abort = null;
    this._bare = false;
    clearTimeout(this._timer);
    if (!this._started || this._disposed || document.hidden) {
      return;
    }
    // Tabs that are restored together ask in one go.
    this._timer = window.setTimeout(() => void this._listen(), 20);
  }

  private async _listen(): Promise<void> {
    const abort = new AbortController();
    this._abort = abort;
    let wait = FIRST_WAIT;
    while (!abort.signal.aborted) {
      try {
        const response = await this._open(abort.signal);
        wait = FIRST_WAIT;
        this._setConnected(true);
        if (this._missed) {
          this._missed = false;
          this._tellAccess();
        } else {
          this._resumed.emit();
        }
        if (response.body) {
          for await (const { event, data } of readEvents(response.body)) {
            this._receive(event, data);
          }
        }
      } catch (error) {
        if (abort.signal.aborted) {
          return;
        }
        if (error instanceof ApiError && error.status === 404 && !this._bare) {
          // A run that is followed is out of sight: its follower learns of it by a stream without any.
          this._bare = this._missed = true;
          continue;
        }
        this._setConnected(false);
      }
      this._missed = true;
      await new Promise(done => setTimeout(done, wait * (0.75 + Math.random() / 2)));
      wait = Math.min(2 * wait, LONGEST_WAIT);
    }
  }

  private _open(signal: AbortSignal): Promise<Response> {
    const query = new URLSearchParams();
    const followed = this._bare ? [] : [...this._followers].slice(-FOLLOWED);
    for (const [run, followers] of followed) {
      const offset = Math.min(...[...followers].map(follower => follower.offset));
      query.append('follow', `run:${run}@${offset}`);
    }
    return this._api.fetch('GET', 'stream', { query, signal });
  }

  private _receive(event: string, data: string): void {
    if (event === 'change') {
      const change = JSON.parse(data) as Change;
      this._changed.emit(change);
      if (ACCESS.has(change.kind)) {
        this._tellAccess();
      }
    } else if (event === 'resync') {
      this._tellAccess();
    } else if (event === 'run') {
      const message = parsed(data);
      if (!message) {
        return;
      }
      for (const follower of this._followers.get(message.run) ?? []) {
        // What came before a reconnect may come again.
        if (message.id > follower.offset) {
          hand(follower, message);
        }
      }
    }
  }

  private _tellAccess(): void {
    this._access ??= window.setTimeout(() => {
      this._access = undefined;
      void this._learn().then(() => this._disposed || this._accessChanged.emit());
    }, SOON);
  }

  private _setConnected(value: boolean): void {
    if (this._connected !== value) {
      this._connected = value;
      this._connectedChanged.emit(value);
    }
  }

  private readonly _followers = new Map<string, Set<Follower>>();
  private readonly _changed = new Signal<this, Change>(this);
  private readonly _resumed = new Signal<this, void>(this);
  private readonly _accessChanged = new Signal<this, void>(this);
  private readonly _connectedChanged = new Signal<this, boolean>(this);
  private _connected = true;
  private _started = false;
  private _disposed = false;
  private _abort: AbortController | null = null;
  private _timer = 0;
  private _access: number | undefined;
  private _learn = (): Promise<void> => Promise.resolve();
  /** Whether the stream is open without the runs that are followed, one of which was refused. */
  private _bare = false;
  /** Whether changes may have passed unheard: the stream was lost, or the page hidden. */
  private _missed = false;
}

/** A line of a run's log; null for one that makes no sense: whatever ran there may have written it. */
function parsed(data: string): RunMessage | null {
  try {
    const message = JSON.parse(data) as RunMessage;
    return message.event instanceof Object ? message : null;
  } catch {
    return null;
  }
}

/** Hand on an event; one that a follower cannot take must not end the stream of the whole page. */
function hand(follower: Follower, message: RunMessage): void {
  try {
    follower.receive(message);
  } catch (error) {
    if (!(error instanceof TypeError)) {
      throw error;
    }
  }
}
