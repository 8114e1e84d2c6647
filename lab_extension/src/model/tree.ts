import { Signal, type ISignal } from '@lumino/signaling';
import type { DatasetFile, Page } from '../generated/api';

const PAGE = 1000;
const PAUSE = 150;

/** Asks for a page of a folder, or (`q`) of all files whose path holds a text. */
export type FetchFiles = (query: {
  path: string;
  q: string;
  cursor: string | null;
  limit: number;
}) => Promise<Page<DatasetFile>>;

/** One folder as far as it was asked for. */
interface Folder {
  path: string;
  depth: number;
  items: DatasetFile[];
  cursor: string | null;
  /** How many lines it has, as far as that is known. */
  total: number;
  ready: boolean;
  loading: Promise<void> | null;
  error: string | null;
}

/** One line of the tree. Without `file`, one that has not come yet, or (`error`) that did not come at all. */
export interface TreeRow {
  file: DatasetFile | null;
  folder: Folder;
  /** Its place in the folder, from 0. */
  at: number;
  open: boolean;
}

/** The last part of a path. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** The folder that a path is in; of what lies on top: "". */
export function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** The files of a version as a tree whose folders are fetched when they are opened, page by page. */
export class FileTree {
  constructor(
    private readonly _fetch: FetchFiles,
    /** How many files there are in all, if that is known. */
    private readonly _files: () => number | null
  ) {}

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The path that the cursor is on. */
  active = '';
  /** The folder that something is held over, to be dropped into it. */
  aimed = '';
  /** What is searched for; empty: the tree is shown. */
  text = '';

  get ready(): boolean {
    return this._root.ready;
  }

  get busy(): boolean {
    return this._root.loading !== null;
  }

  get error(): string | null {
    return this._root.error;
  }

  /** All lines there are, one for each that has not come yet too. */
  get rows(): readonly TreeRow[] {
    if (!this._rows) {
      this._rows = [];
      this._flatten(this._root, this._rows);
    }
    return this._rows;
  }

  get activeRow(): number {
    return this.rows.findIndex(({ file }) => file?.path === this.active);
  }

  load(): Promise<void> {
    return this._root.ready ? Promise.resolve() : this._more(this._root);
  }

  /** Fetch anew what is open: the files changed. */
  async refresh(): Promise<void> {
    const open = [...this._open.values()].sort((one, other) => one.depth - other.depth);
    const fresh = makeFolder('', 0);
    this._open.clear();
    await this._more(fresh, false);
    for (const { path, depth } of open) {
      const folder = makeFolder(path, depth);
      await this._more(folder, false);
      if (!folder.error) {
        this._open.set(path, folder);
      }
    }
    this._root = fresh;
    this._emit();
  }

  isOpen(path: string): boolean {
    return this._open.has(path);
  }

  toggle({ file, folder }: TreeRow, open?: boolean): void {
    if (file?.type !== 'folder' || open === this._open.has(file.path)) {
      return;
    }
    if (this._open.delete(file.path)) {
      this._emit();
    } else {
      const made = makeFolder(file.path, folder.depth + 1, file.files);
      this._open.set(file.path, made);
      void this._more(made);
    }
  }

  select(path: string): void {
    if (this.active !== path) {
      this.active = path;
      this._changed.emit();
    }
  }

  aim(folder: string): void {
    if (this.aimed !== folder) {
      this.aimed = folder;
      this._changed.emit();
    }
  }

  /** Fetch what is missing of the lines from `from` to `to`. */
  want(from: number, to: number): void {
    for (const { file, folder } of this.rows.slice(from, to)) {
      if (!file && !folder.loading && !folder.error) {
        void this._more(folder);
      }
    }
  }

  /** Show what holds `text` in its path, in a moment; nothing: the tree again. */
  search(text: string): void {
    this.text = text;
    clearTimeout(this._timer);
    this._timer = window.setTimeout(() => {
      this._open.clear();
      this._root = makeFolder('', 0);
      void this._more(this._root);
    }, PAUSE);
    this._changed.emit();
  }

  dispose(): void {
    clearTimeout(this._timer);
    Signal.clearData(this);
  }

  private _more(folder: Folder, tell = true): Promise<void> {
    folder.loading ??= this._page(folder).finally(() => {
      folder.loading = null;
      if (tell) {
        this._emit();
      }
    });
    if (tell) {
      this._emit();
    }
    return folder.loading;
  }

  private async _page(folder: Folder): Promise<void> {
    const q = folder.depth ? '' : this.text.trim();
    const { path, cursor } = folder;
    try {
      const page = await this._fetch({ path: q ? '' : path, q, cursor, limit: PAGE });
      folder.items = [...folder.items, ...page.items];
      folder.cursor = page.cursor;
      folder.ready = true;
      folder.error = null;
      folder.total = page.cursor === null ? folder.items.length : this._total(folder, q !== '');
    } catch (error) {
      folder.error = (error as Error).message;
    }
  }

  /** How many lines a folder has of which more are to come. Folders come first: behind them it is the rest of the files. */
  private _total({ path, items }: Folder, found: boolean): number {
    const known = items.length + 1;
    const all = path ? this._filesIn.get(path) : this._files();
    if (found || all == null || items.at(-1)?.type === 'folder') {
      return known;
    }
    const folders = items.filter(({ type }) => type === 'folder');
    const below = folders.reduce((sum, { files }) => sum + files, 0);
    return Math.max(known, folders.length + all - below);
  }

  private _flatten(folder: Folder, rows: TreeRow[]): void {
    const { items, total } = folder;
    items.forEach((file, at) => {
      const inner = file.type === 'folder' ? this._open.get(file.path) : undefined;
      rows.push({ file, folder, at, open: inner !== undefined });
      if (file.type === 'folder') {
        this._filesIn.set(file.path, file.files);
      }
      if (inner) {
        this._flatten(inner, rows);
      }
    });
    for (let at = items.length; at < total; at++) {
      rows.push({ file: null, folder, at, open: false });
    }
  }

  private _emit(): void {
    this._rows = null;
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _open = new Map<string, Folder>();
  /** How many files each folder that was seen has, however deep. */
  private readonly _filesIn = new Map<string, number>();
  private _root = makeFolder('', 0);
  private _rows: TreeRow[] | null = null;
  private _timer: number | undefined;
}

/** A folder of which nothing has come; it has one line until it is known how many. */
function makeFolder(path: string, depth: number, files = 1): Folder {
  return {
    path,
    depth,
    items: [],
    cursor: null,
    total: Math.min(files, 1),
    ready: false,
    loading: null,
    error: null
  };
}
