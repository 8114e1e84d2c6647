import type { ICell, IOutput } from '@jupyterlab/nbformat';
import type { PartialJSONObject } from '@lumino/coreutils';
import type { RunFailure } from '../generated/api';

/** One line of a run's event log (docs/developing/contracts.md, "events.jsonl"). */
export type RunEvent = { time: number } & (
  | { type: 'start'; notebook: string; parameters: Record<string, unknown> }
  | {
      type: 'kernel';
      state: 'starting' | 'ready' | 'dead';
      name: string;
      display_name?: string;
      language_info?: { name?: string };
    }
  | { type: 'notebook'; metadata: PartialJSONObject; cells: ICell[] }
  | { type: 'cell_start'; index: number }
  | { type: 'output'; index: number; output: IOutput }
  | { type: 'stream'; index: number; name: 'stdout' | 'stderr'; text: string }
  | { type: 'display'; display_id: string; data: PartialJSONObject; metadata: PartialJSONObject }
  | { type: 'clear'; index: number; wait: boolean }
  | {
      type: 'cell_end';
      index: number;
      status: CellStatus;
      execution_count: number | null;
      seconds: number;
    }
  | { type: 'log'; text: string }
  | { type: 'end'; state: string; failure: RunFailure | null; seconds: number }
);

export type CellStatus = 'ok' | 'error' | 'timeout' | 'canceled' | 'skipped';

/** What the page's stream carries for a followed run; the id is where the log goes on. */
export interface RunMessage {
  run: string;
  id: number;
  event: RunEvent;
}
