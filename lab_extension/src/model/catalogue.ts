import { Signal, type ISignal } from '@lumino/signaling';
import type { DatasetRoutes } from '../api/datasets';
import type { PublicDataset } from '../generated/api';
import { PagedList } from './paged';

const PAGE = 100;
const AGAIN = 1000;
const PAUSE = 150;

/** A line of the catalogue, whose name is its id. */
export interface Listed extends PublicDataset {
  id: string;
}

/** The catalogue of public datasets, and how far those are that are being fetched. */
export class CatalogueModel {
  constructor(
    private readonly _routes: DatasetRoutes,
    /** Whether anybody looks: else nothing is asked for. */
    private readonly _seen: () => boolean
  ) {
    this.list = new PagedList<Listed>(async (cursor, limit) => {
      const page = await _routes.catalogue({ cursor, limit, q: this.text.trim() });
      return { ...page, items: page.items.map(item => ({ ...item, id: item.name })) };
    }, PAGE);
    this.list.changed.connect(this._onList, this);
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  readonly list: PagedList<Listed>;
  text = '';
  error: string | null = null;

  load = (): Promise<void> => this.list.refresh();

  find(text: string): void {
    this.text = text;
    clearTimeout(this._searching);
    this._searching = window.setTimeout(() => void this.list.reset(), PAUSE);
    this._changed.emit();
  }

  fetch = (name: string): Promise<void> =>
    this._act(async () => {
      const found = await this._routes.fetchPublic(name);
      this.list.put({ ...found, id: name });
    });

  stop = (name: string): Promise<void> =>
    this._act(async () => {
      await this._routes.stopFetching(name);
      this.list.put({ ...(await this._routes.publicDataset(name)), id: name });
    });

  dispose(): void {
    clearTimeout(this._timer);
    clearTimeout(this._searching);
    this.list.dispose();
    Signal.clearData(this);
  }

  private async _act(action: () => Promise<void>): Promise<void> {
    try {
      await action();
      this.error = null;
    } catch (error) {
      this.error = (error as Error).message;
    }
    this._changed.emit();
  }

  private _onList(): void {
    this._changed.emit();
    if (this.list.items.some(({ state }) => state === 'Fetching')) {
      this._timer ??= window.setTimeout(() => void this._again(), AGAIN);
    }
  }

  /** Ask how far they are that are being fetched. */
  private async _again(): Promise<void> {
    const under = this.list.items.filter(({ state }) => state === 'Fetching');
    const found = this._seen()
      ? await Promise.all(
          under.map(({ name }) => this._routes.publicDataset(name).catch(() => null))
        )
      : [];
    this._timer = undefined;
    found.forEach(item => item && this.list.put({ ...item, id: item.name }));
    this._onList();
  }

  private readonly _changed = new Signal<this, void>(this);
  private _timer: number | undefined;
  private _searching: number | undefined;
}
