import { Signal, type ISignal } from '@lumino/signaling';
import { ApiError } from '../api/client';
import type { DatasetRoutes } from '../api/datasets';
import { md5Of } from './md5';
import { tar } from './tar';

/** Files up to this size travel together in one request; larger ones each in pieces. */
const SMALL = 4_000_000;
const TOGETHER = 8_000_000;
const FILES = 200;
const LANES = 3;
const LEAST_PIECE = 256 << 10;
const MOST_PIECE = 16 << 20;
/** Milliseconds that a piece shall take: how much a break costs, and how often the bar moves. */
const PACE = 1000;
const TRIES = 6;

/** A file that a person chose, and its path in the version. */
export interface Incoming {
  path: string;
  file: File;
}

/** One file on its way. */
export interface UploadItem extends Incoming {
  state: 'waiting' | 'reading' | 'sending' | 'there' | 'failed';
  md5: string;
  /** Bytes that are in the store. */
  sent: number;
  error: string | null;
}

/** Whether trying again may help: the network was away, or the service had no time. */
function mayPass(error: unknown): boolean {
  return error instanceof ApiError
    ? error.status >= 500 || error.status === 429
    : !(error instanceof DOMException);
}

/**
 * Files on their way into an uncommitted version.
 *
 * Each is hashed here first: what the store has is not sent, large ones go on where they broke off, and the
 * service checks what came.
 */
export class UploadModel {
  constructor(
    private readonly _routes: DatasetRoutes,
    private readonly _dataset: string,
    private readonly _wait = 500
  ) {}

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Further files are in the version. */
  get entered(): ISignal<this, void> {
    return this._entered;
  }

  items: UploadItem[] = [];
  /** The version that they go into. */
  version = '';
  running = false;
  canceled = false;

  get bytes(): number {
    return this._bytes;
  }

  get sent(): number {
    return this._sent;
  }

  /** How many files are in the version. */
  get done(): number {
    return this._done;
  }

  get failed(): UploadItem[] {
    return this.items.filter(({ state }) => state === 'failed');
  }

  get active(): UploadItem[] {
    return this.items.filter(({ state }) => state === 'reading' || state === 'sending');
  }

  /** Send files into a version; ends when all are there, failed, or it was canceled. */
  async start(version: string, files: readonly Incoming[]): Promise<void> {
    if (!this.running) {
      this.items = this.items.filter(({ state }) => state === 'failed' && version === this.version);
      this._sent = this._done = 0;
    }
    this.version = version;
    this.canceled = false;
    const made = files.map(
      each => ({ ...each, state: 'waiting', md5: '', sent: 0, error: null }) as UploadItem
    );
    const paths = new Set(made.map(({ path }) => path));
    this.items = [
      ...this.items.filter(({ path, state }) => !paths.has(path) || state === 'there'),
      ...made
    ];
    this._bytes = this.items.reduce((sum, { file }) => sum + file.size, 0);
    this._queue.push(...made);
    if (!this.running) {
      await this._run();
    }
  }

  /** Try again what failed. */
  async retry(): Promise<void> {
    const again = this.failed;
    this.canceled = false;
    for (const item of again) {
      this._count(item, -item.sent);
      item.state = 'waiting';
      item.error = null;
    }
    this._queue.push(...again);
    if (!this.running) {
      await this._run();
    }
  }

  cancel(): void {
    this.canceled = true;
    this._queue.length = 0;
    this._abort.abort();
    this.items = this.items.filter(({ state }) => state === 'there');
    this._changed.emit();
  }

  /** Forget what went in. */
  clear(): void {
    this.items = [];
    this._bytes = this._sent = this._done = 0;
    this._changed.emit();
  }

  dispose(): void {
    this.cancel();
    Signal.clearData(this);
  }

  private async _run(): Promise<void> {
    this.running = true;
    this._abort = new AbortController();
    this._changed.emit();
    await Promise.all(Array.from({ length: LANES }, () => this._lane()));
    this.running = false;
    this._changed.emit();
    this._entered.emit();
  }

  private async _lane(): Promise<void> {
    for (let batch = this._next(); batch.length; batch = this._next()) {
      await this._send(batch);
      this._entered.emit();
    }
  }

  /** Take files that travel together off the queue. */
  private _next(): UploadItem[] {
    const batch: UploadItem[] = [];
    let size = 0;
    while (this._queue[0] && batch.length < FILES) {
      const [{ file }] = this._queue as [UploadItem];
      if (batch.length && (file.size > SMALL || size + file.size > TOGETHER)) {
        break;
      }
      batch.push(...this._queue.splice(0, 1));
      size += file.size;
      if (file.size > SMALL) {
        break;
      }
    }
    return batch;
  }

  private async _send(batch: UploadItem[]): Promise<void> {
    const { signal } = this._abort;
    try {
      for (const item of batch) {
        item.state = 'reading';
        this._changed.emit();
        item.md5 ||= await md5Of(item.file, () => this._changed.emit(), signal);
        item.state = 'sending';
      }
      await this._enter(batch, signal);
      for (const item of batch) {
        item.state = 'there';
        this._done++;
        this._count(item, item.file.size - item.sent);
      }
    } catch (error) {
      if (signal.aborted) {
        return;
      }
      if (batch.length > 1 && error instanceof ApiError) {
        // One of them is refused: which one is found by sending each alone.
        for (const item of batch) {
          this._count(item, -item.sent);
          await this._send([item]);
        }
        return;
      }
      for (const item of batch) {
        item.state = 'failed';
        item.error =
          error instanceof DOMException
            ? `The file cannot be read (${error.message}): was it changed, or is it a folder?`
            : (error as Error).message;
      }
    }
    this._changed.emit();
  }

  /** Enter files into the version, sending the contents that the store lacks. */
  private async _enter(batch: UploadItem[], signal: AbortSignal): Promise<void> {
    const files = batch.map(({ path, md5, file }) => ({ path, md5, size: file.size }));
    const enter = (): Promise<string[]> =>
      this._trying(signal, async () => {
        const answer = await this._routes.enter(this._dataset, this.version, files, signal);
        return answer.missing;
      });
    const missing = new Set(await enter());
    if (!missing.size) {
      return;
    }
    const wanted = [...new Map(batch.map(item => [item.md5, item])).values()].filter(({ md5 }) =>
      missing.has(md5)
    );
    if (wanted[0] && wanted[0].file.size > SMALL) {
      await this._pieces(wanted[0], signal);
    } else {
      const body = tar(wanted.map(({ md5, file }) => ({ name: md5, data: file })));
      await this._trying(signal, () =>
        this._routes.putObjects(this._dataset, this.version, body, signal)
      );
    }
    const still = await enter();
    if (still.length) {
      throw new Error('The service did not take what was sent: send it again.');
    }
  }

  /** Send a large file in pieces that take about a second each, after those that are there. */
  private async _pieces(item: UploadItem, signal: AbortSignal): Promise<void> {
    const { md5, file } = item;
    const where = [this._dataset, this.version, md5] as const;
    let piece = LEAST_PIECE;
    await this._trying(signal, async () => {
      let { received, complete } = await this._routes.received(...where, file.size, signal);
      this._count(item, received - item.sent);
      while (!complete) {
        const began = performance.now();
        const body = file.slice(received, received + piece);
        const query = { offset: received, size: file.size };
        ({ received, complete } = await this._routes.putPiece(...where, query, body, signal));
        this._count(item, received - item.sent);
        const took = Math.max(1, performance.now() - began);
        piece = Math.round(
          Math.min(MOST_PIECE, 2 * piece, Math.max(LEAST_PIECE, (piece * PACE) / took))
        );
        if (received >= file.size && !complete) {
          return;
        }
      }
    });
  }

  /** Do what may fail for a while, with longer and longer pauses. */
  private async _trying<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    for (let tried = 1; ; tried++) {
      try {
        return await work();
      } catch (error) {
        signal.throwIfAborted();
        if (tried === TRIES || !mayPass(error)) {
          throw error;
        }
        await new Promise(again => setTimeout(again, this._wait * 2 ** (tried - 1)));
        signal.throwIfAborted();
      }
    }
  }

  private _count(item: UploadItem, more: number): void {
    item.sent += more;
    this._sent += more;
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _entered = new Signal<this, void>(this);
  private readonly _queue: UploadItem[] = [];
  private _abort = new AbortController();
  private _bytes = 0;
  private _sent = 0;
  private _done = 0;
}

/** Read what was dropped: files, and folders with all in them. */
export async function dropped(transfer: DataTransfer): Promise<Incoming[]> {
  // Both must be taken before anything is waited for: then the browser forgets them.
  const entries = [...transfer.items].map(item => item.webkitGetAsEntry());
  const files = [...transfer.files];
  if (entries.every(entry => entry === null)) {
    return files.map(file => ({ path: file.name, file }));
  }
  const found: Incoming[] = [];
  for (const entry of entries) {
    if (entry) {
      await walk(entry, found);
    }
  }
  return found;
}

/** Read what a file field holds: a folder's files with their paths. */
export function picked(files: FileList): Incoming[] {
  return [...files].map(file => ({ path: file.webkitRelativePath || file.name, file }));
}

/** Files as they are put into a folder; "": where they lie already. */
export function into(folder: string, files: readonly Incoming[]): Incoming[] {
  return files.map(({ path, file }) => ({ path: folder ? `${folder}/${path}` : path, file }));
}

async function walk(entry: FileSystemEntry, found: Incoming[]): Promise<void> {
  if (entry.isFile) {
    const file = await new Promise<File>((done, failed) =>
      (entry as FileSystemFileEntry).file(done, failed)
    );
    found.push({ path: entry.fullPath.replace(/^\//, ''), file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((done, failed) =>
      reader.readEntries(done, failed)
    );
    if (!some.length) {
      return;
    }
    for (const inner of some) {
      await walk(inner, found);
    }
  }
}
