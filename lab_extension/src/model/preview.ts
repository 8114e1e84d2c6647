import type { DatasetFile } from '../generated/api';
import { readCsv, readJsonLines, type Table } from './table';

/** Bytes that are fetched of each kind at most. */
const TEXT = 64_000;
const TABLE = 256_000;
const IMAGE = 20_000_000;
const NOTEBOOK = 10_000_000;

const IMAGES: Record<string, string> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
  bmp: 'image/bmp',
  avif: 'image/avif',
  ico: 'image/x-icon',
  svg: 'image/svg+xml'
};

/** What is shown of a file beside the tree. `cut`: it is only the beginning. */
export type Preview =
  | { kind: 'table'; table: Table; cut: boolean }
  | { kind: 'image'; image: Blob }
  | { kind: 'notebook'; notebook: { cells: never[]; metadata: Record<string, never> } }
  | { kind: 'text'; text: string; cut: boolean }
  | { kind: 'large' }
  | { kind: 'binary' };

/** Fetches the first bytes of a file, or all of them. */
export type FetchFile = (path: string, bytes?: number) => Promise<Response>;

function ending(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1).toLowerCase();
}

/** Text of the bytes; null: they are none. What was cut may end within a letter. */
export function decode(bytes: Uint8Array, cut: boolean): string | null {
  if (bytes.includes(0)) {
    return null;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: cut });
  } catch {
    return null;
  }
}

async function beginning(
  fetch: FetchFile,
  { path, size }: DatasetFile,
  most: number
): Promise<{ text: string | null; cut: boolean }> {
  const cut = size > most;
  if (!size) {
    return { text: '', cut };
  }
  const response = await fetch(path, cut ? most : undefined);
  const bytes = new Uint8Array(await response.arrayBuffer());
  return { text: decode(bytes.subarray(0, most), cut), cut };
}

function isNotebook(value: unknown): boolean {
  return value instanceof Object && Array.isArray((value as { cells?: unknown }).cells);
}

/** Fetch as little of a file as shows what is in it. */
export async function look(fetch: FetchFile, file: DatasetFile): Promise<Preview> {
  const { path, size } = file;
  const kind = ending(path);
  const type = IMAGES[kind];
  if (type) {
    if (size > IMAGE) {
      return { kind: 'large' };
    }
    const bytes = await (await fetch(path)).arrayBuffer();
    // Named by its ending: what the service says of it is that it is to be downloaded.
    return { kind: 'image', image: new Blob([bytes], { type }) };
  }
  if (kind === 'ipynb' && size <= NOTEBOOK) {
    const text = await (await fetch(path)).text();
    try {
      const notebook = JSON.parse(text) as Extract<Preview, { kind: 'notebook' }>['notebook'];
      if (isNotebook(notebook)) {
        return { kind: 'notebook', notebook: { ...notebook, metadata: notebook.metadata ?? {} } };
      }
    } catch {
      // No notebook: its text says what it is instead.
    }
    return { kind: 'text', text: text.slice(0, TEXT), cut: text.length > TEXT };
  }
  const isTable = ['csv', 'tsv', 'jsonl', 'ndjson'].includes(kind);
  const { text, cut } = await beginning(fetch, file, isTable ? TABLE : TEXT);
  if (text === null) {
    return { kind: 'binary' };
  }
  if (isTable) {
    const table = kind.endsWith('sv') ? readCsv(text, cut) : readJsonLines(text, cut);
    if (table.head.length) {
      return { kind: 'table', table, cut };
    }
  }
  return { kind: 'text', text: kind === 'json' && !cut ? pretty(text) : text, cut };
}

/** JSON on lines of its own, where it is on one. */
function pretty(text: string): string {
  if (text.trimEnd().includes('\n')) {
    return text;
  }
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
