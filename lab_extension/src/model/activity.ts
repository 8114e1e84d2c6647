import type { Api } from '../api/client';
import { ACCESS, type PageStream } from '../api/stream';
import type { Activity, Change } from '../generated/api';
import { PagedList } from './paged';

const PAGE = 50;
const SOON = 400;

/** A sentence of the feed, cut where the name of what it speaks of stands. */
export interface Sentence {
  before: string;
  name: string;
  after: string;
}

/** Cut a sentence around the name in it; the name is empty where the sentence does not hold it. */
export function cut({ text, name }: Pick<Activity, 'text' | 'name'>): Sentence {
  const at = name ? text.indexOf(name) : -1;
  return at < 0
    ? { before: text, name: '', after: '' }
    : { before: text.slice(0, at), name, after: text.slice(at + name.length) };
}

/** What was done lately in a team or a project, kept fresh by the page's stream while it is seen. */
export class ActivityList extends PagedList<Activity> {
  constructor(
    api: Api,
    private readonly _stream: PageStream,
    below: string,
    /** Whether what it tells of is in sight: else nothing is asked for. */
    private readonly _inSight: () => boolean
  ) {
    super((cursor, limit) => api.activity(below, { cursor, limit }), PAGE);
  }

  /** Fetch what there is, and go on with what comes. */
  start(): void {
    if (!this._live) {
      this._live = true;
      this._stream.start();
      this._stream.changed.connect(this._onChange, this);
      this._stream.resumed.connect(this._soon, this);
      this._stream.accessChanged.connect(this._soon, this);
    }
    if (this._inSight()) {
      void this.refresh();
    }
  }

  /** Stop asking, while nobody looks. */
  pause(): void {
    this._live = false;
    clearTimeout(this._timer);
    this._timer = undefined;
    this._stream.changed.disconnect(this._onChange, this);
    this._stream.resumed.disconnect(this._soon, this);
    this._stream.accessChanged.disconnect(this._soon, this);
  }

  override dispose(): void {
    this.pause();
    super.dispose();
  }

  private _onChange(_: PageStream, change: Change): void {
    if (!ACCESS.has(change.kind)) {
      this._soon();
    }
  }

  private _soon(): void {
    this._timer ??= window.setTimeout(() => {
      this._timer = undefined;
      if (this._inSight()) {
        void this.refresh();
      }
    }, SOON);
  }

  private _live = false;
  private _timer: number | undefined;
}
