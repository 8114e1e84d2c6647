import { Signal, type ISignal } from '@lumino/signaling';
import type { DatasetRoutes } from '../api/datasets';
import type { DatasetFile, DifferenceCount, FileDifference } from '../generated/api';
import { sideBySide, type LinePair } from './lines';
import { PagedList } from './paged';
import { decode } from './preview';

const PAGE = 200;
const TEXT = 64_000;

/** One path that differs, which is its own id. */
export interface Different extends FileDifference {
  id: string;
}

/** What differs between two versions of a dataset. */
export class DifferenceModel {
  constructor(
    private readonly _routes: DatasetRoutes,
    readonly dataset: string,
    readonly before: string,
    readonly after: string
  ) {
    this.list = new PagedList<Different>(async (cursor, limit) => {
      const page = await _routes.differences(dataset, before, after, { cursor, limit });
      return { ...page, items: page.items.map(item => ({ ...item, id: item.path })) };
    }, PAGE);
    this.list.changed.connect(() => this._changed.emit());
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  readonly list: PagedList<Different>;
  count: DifferenceCount | null = null;
  error: string | null = null;

  async load(): Promise<void> {
    const counting = this._routes.differenceCount(this.dataset, this.before, this.after);
    await Promise.all([
      this.list.refresh(),
      counting.then(
        count => (this.count = count),
        (error: Error) => (this.error = error.message)
      )
    ]);
    this._changed.emit();
  }

  /** Whether the text of a file can be set side by side: both are small. */
  comparable({ change, before, after }: FileDifference): boolean {
    return change === 'changed' && Math.max(before?.size ?? TEXT, after?.size ?? TEXT) < TEXT;
  }

  /** The lines of both versions of a file; null: it is no text. */
  async lines({ before, after }: FileDifference): Promise<LinePair[] | null> {
    const [one, other] = await Promise.all([
      this._text(this.before, before),
      this._text(this.after, after)
    ]);
    return one === null || other === null ? null : sideBySide(one, other);
  }

  dispose(): void {
    this.list.dispose();
    Signal.clearData(this);
  }

  private async _text(version: string, file: DatasetFile | null): Promise<string | null> {
    if (!file?.size) {
      return '';
    }
    const response = await this._routes.file(this.dataset, version, file.path);
    return decode(new Uint8Array(await response.arrayBuffer()), false);
  }

  private readonly _changed = new Signal<this, void>(this);
}
