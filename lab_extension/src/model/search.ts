import { Signal, type ISignal } from '@lumino/signaling';
import type { Api } from '../api/client';
import type { Found } from '../generated/api';

const PAUSE = 150;
const MOST = 50;
/** The kinds that people look for most, first. */
const ORDER = [
  'project',
  'run',
  'dataset',
  'dataset version',
  'team',
  'link',
  'snapshot',
  'secret',
  'service_account'
];

/** Results of one kind. */
export interface FoundGroup {
  kind: string;
  items: readonly Found[];
}

/** What is asked for: words, and the tags that were written as `#tag`. */
export function parseSearch(text: string): { q: string; tags: string[] } {
  const words = text.trim().split(/\s+/).filter(Boolean);
  const isTag = (word: string): boolean => word.length > 1 && word.startsWith('#');
  return {
    q: words.filter(word => !word.startsWith('#')).join(' '),
    tags: words.filter(isTag).map(word => word.slice(1))
  };
}

/** Results by kind; one whose id is what was asked for comes before all others. */
export function groupFound(items: readonly Found[], text: string): FoundGroup[] {
  const wanted = text.trim();
  const exact = items.find(({ id }) => id === wanted);
  const kinds = [...new Set(items.map(({ kind }) => kind))];
  const place = (kind: string): number =>
    kind === exact?.kind ? -1 : ORDER.includes(kind) ? ORDER.indexOf(kind) : ORDER.length;
  const first = ({ id }: Found): number => (id === exact?.id ? 0 : 1);
  return kinds
    .sort((one, other) => place(one) - place(other))
    .map(kind => ({
      kind,
      items: items
        .filter(item => item.kind === kind)
        .sort((one, other) => first(one) - first(other))
    }));
}

/** The one search box: what is typed, and what is found for it, asked for as one types. */
export class SearchModel {
  constructor(
    private readonly _api: Api,
    private readonly _secretsPage = (): string => ''
  ) {}

  /** Where secrets are, which are not searched; empty where there is no such page. */
  get secretsPage(): string {
    return this._secretsPage();
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The box shall have the cursor. */
  get asked(): ISignal<this, void> {
    return this._asked;
  }

  text = '';
  groups: FoundGroup[] = [];
  /** Whether there are more than are shown. */
  more = false;
  error: string | null = null;
  /** The text that `groups` answers; differs from `text` while the answer is under way. */
  answered = '';

  /** All that was found, in the order in which it is shown. */
  get items(): readonly Found[] {
    return this.groups.flatMap(({ items }) => items);
  }

  get busy(): boolean {
    return Boolean(this.text.trim()) && this.answered !== this.text.trim();
  }

  /** Put the cursor into the box, as soon as there is one. */
  ask(): void {
    this._wanted = true;
    this._asked.emit();
  }

  /** Tell, once, whether the box was asked for. */
  take(): boolean {
    const wanted = this._wanted;
    this._wanted = false;
    return wanted;
  }

  /** Search for `text` in a moment, and give up what was asked before. */
  set(text: string): void {
    this.text = text;
    this._stop();
    if (!text.trim()) {
      this._take('', [], false);
    } else if (this.busy) {
      this._timer = window.setTimeout(() => void this._search(), PAUSE);
    }
    this._changed.emit();
  }

  /** Search now, and answer what comes first: for who presses Enter before the answer is there. */
  async first(): Promise<Found | null> {
    if (this.busy) {
      this._stop();
      await this._search();
    }
    return this.busy ? null : (this.items[0] ?? null);
  }

  private _stop(): void {
    clearTimeout(this._timer);
    this._abort?.abort();
    this._abort = null;
  }

  private async _search(): Promise<void> {
    const abort = new AbortController();
    this._abort = abort;
    const text = this.text.trim();
    const { q, tags } = parseSearch(text);
    try {
      const page =
        q || tags.length
          ? await this._api.search({ q, tag: tags, limit: MOST }, abort.signal)
          : { items: [], cursor: null };
      if (!abort.signal.aborted) {
        this._take(text, page.items, page.cursor !== null);
      }
    } catch (error) {
      if (!abort.signal.aborted) {
        this._take(text, [], false, (error as Error).message);
      }
    }
    this._changed.emit();
  }

  private _take(
    text: string,
    items: readonly Found[],
    more: boolean,
    error: string | null = null
  ): void {
    this.answered = text;
    this.groups = groupFound(items, text);
    this.more = more;
    this.error = error;
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _asked = new Signal<this, void>(this);
  private _abort: AbortController | null = null;
  private _timer = 0;
  private _wanted = false;
}
