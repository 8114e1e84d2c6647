import type { IDisposable } from '@lumino/disposable';
import { Signal, type ISignal } from '@lumino/signaling';
import { ApiError } from '../api/client';
import type { Page } from '../generated/api';

/** A list that comes in pages, newest first, and is kept up to date at its head. */
export class PagedList<T extends { id: string | number }> implements IDisposable {
  constructor(
    private readonly _fetch: (cursor: string | null, limit: number) => Promise<Page<T>>,
    private readonly _limit: number
  ) {}

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  items: readonly T[] = [];
  total: number | null = null;
  error: string | null = null;
  /** Whether the first page has come. */
  ready = false;
  isDisposed = false;

  get complete(): boolean {
    return this.ready && this._cursor === null;
  }

  /** Fetch the first page again; what further pages brought stays below it. */
  async refresh(): Promise<void> {
    const generation = this._generation;
    await this._guard(async () => {
      const page = await this._fetch(null, this._limit);
      if (generation !== this._generation) {
        return;
      }
      const head = new Set(page.items.map(item => item.id));
      const grown = this.ready && this.items.length > this._limit && page.cursor !== null;
      const tail = grown ? this.items.slice(this._limit).filter(item => !head.has(item.id)) : [];
      if (!tail.length) {
        this._cursor = page.cursor;
      }
      this.items = [...page.items, ...tail];
      this.total = page.total;
      this.ready = true;
    });
  }

  /** Fetch the next page; calls while one is under way are that one. */
  more(): Promise<void> {
    if (this.complete || !this.ready) {
      return Promise.resolve();
    }
    this._more ??= this._nextPage().finally(() => {
      this._more = null;
    });
    return this._more;
  }

  /** Fetch all pages that there were again, and show them together: some items may be out of sight now. */
  async reload(): Promise<void> {
    const generation = ++this._generation;
    const wanted = Math.max(this.items.length, 1);
    this._more = null;
    await this._guard(async () => {
      let items: T[] = [];
      let cursor: string | null = null;
      let page: Page<T>;
      do {
        page = await this._fetch(cursor, this._limit);
        items = [...items, ...page.items];
        cursor = page.cursor;
      } while (cursor !== null && items.length < wanted);
      if (generation === this._generation) {
        this.items = items;
        this.total = page.total;
        this._cursor = cursor;
        this.ready = true;
      }
    });
  }

  /** Forget everything, because the question changed, and ask again. */
  reset(): Promise<void> {
    this._generation++;
    this._more = null;
    this._cursor = null;
    this.ready = false;
    this.items = [];
    this.total = null;
    this._changed.emit();
    return this.refresh();
  }

  /** Replace the item of the same id, if it is shown. */
  put(item: T): boolean {
    const index = this.items.findIndex(known => known.id === item.id);
    if (index < 0) {
      return false;
    }
    this.items = this.items.with(index, item);
    this._changed.emit();
    return true;
  }

  drop(id: T['id']): void {
    const left = this.items.filter(item => item.id !== id);
    if (left.length < this.items.length) {
      this.items = left;
      this.total = this.total === null ? null : this.total - 1;
      this._changed.emit();
    }
  }

  dispose(): void {
    this.isDisposed = true;
    this._generation++;
    Signal.clearData(this);
  }

  private async _nextPage(): Promise<void> {
    const generation = this._generation;
    await this._guard(async () => {
      const page = await this._fetch(this._cursor, this._limit);
      if (generation !== this._generation) {
        return;
      }
      const known = new Set(this.items.map(item => item.id));
      this.items = [...this.items, ...page.items.filter(item => !known.has(item.id))];
      this._cursor = page.cursor;
      this.total = page.total ?? this.total;
    });
  }

  private async _guard(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.error = null;
    } catch (error) {
      this.error = (error as Error).message;
      if (error instanceof ApiError && error.status === 404) {
        // What the list belongs to is gone, or out of the caller's sight: so is what is in it.
        this.items = [];
        this.total = null;
        this._cursor = null;
      }
    }
    if (!this.isDisposed) {
      this._changed.emit();
    }
  }

  private readonly _changed = new Signal<this, void>(this);
  private _cursor: string | null = null;
  private _generation = 0;
  private _more: Promise<void> | null = null;
}
