import type { ICell, IOutput } from '@jupyterlab/nbformat';
import type { PartialJSONObject } from '@lumino/coreutils';
import { Signal, type ISignal } from '@lumino/signaling';
import type { CellStatus, RunEvent } from '../api/events';

/** A cell of a notebook that runs, or ran. */
export interface LiveCell {
  readonly type: string;
  readonly source: string;
  /** Whether the run put it there, with the values it was given. */
  readonly injected: boolean;
  state: 'waiting' | 'running' | CellStatus;
  count: number | null;
  /** When it began, in milliseconds since the epoch; null unless it runs. */
  since: number | null;
  seconds: number | null;
  outputs: IOutput[];
}

/** What changed: the whole notebook, a cell's state, an output more, or the outputs as such. */
export type ReplayChange =
  | { kind: 'notebook' }
  | { kind: 'state'; index: number }
  | { kind: 'add'; index: number; output: IOutput }
  | { kind: 'outputs'; index: number };

interface PapermillCell {
  duration?: number | null;
  exception?: boolean | null;
  status?: string;
}

/** The outputs that come whole; streams come piece by piece. */
const SHOWN = ['display_data', 'execute_result', 'error'];

function joined(source: string | string[]): string {
  return Array.isArray(source) ? source.join('') : source;
}

/**
 * An output as a kernel sends it: a notebook on disk keeps text as a list of lines, which JupyterLab's renderers
 * put together with line breaks or commas of their own.
 */
function flat(output: IOutput): IOutput {
  const made = { ...output };
  if (made.output_type === 'stream') {
    made.text = joined(made.text as string | string[]);
  }
  if (made.data) {
    const data = made.data as PartialJSONObject;
    made.data = Object.fromEntries(
      Object.entries(data).map(([type, value]) => [
        type,
        type.endsWith('json') ? value : joined(value as string | string[])
      ])
    );
  }
  return made;
}

function tagged(cell: ICell, tag: string): boolean {
  return ((cell.metadata as { tags?: string[] }).tags ?? []).includes(tag);
}

function cellOf(cell: ICell): LiveCell {
  return {
    type: cell.cell_type,
    source: joined(cell.source),
    injected: tagged(cell, 'injected-parameters'),
    state: 'waiting',
    count: null,
    since: null,
    seconds: null,
    outputs: []
  };
}

/** The state that papermill's metadata tell of a cell in a finished notebook, which `failed` or not. */
function finishedState(cell: ICell, failed: boolean): LiveCell['state'] {
  const told = (cell.metadata as { papermill?: PapermillCell }).papermill;
  if (told?.exception || told?.status === 'failed') {
    return failed ? 'error' : 'canceled';
  }
  return told?.status === 'completed' || cell.execution_count != null ? 'ok' : 'waiting';
}

function displayId(output: IOutput): string | undefined {
  return (output.transient as { display_id?: string } | undefined)?.display_id;
}

/** A notebook built from a run's event log, one event after the other. */
export class Replay {
  get changed(): ISignal<this, ReplayChange> {
    return this._changed;
  }

  cells: LiveCell[] = [];
  language = 'python';
  /** The cell that runs now. */
  current: number | null = null;
  /** The kernel's state, and since when. */
  kernel: { state: string; name: string } | null = null;
  ready = false;

  /** Show a finished notebook as it is on disk. */
  load(notebook: { cells: ICell[]; metadata: PartialJSONObject }): void {
    this._language(notebook.metadata);
    const whole = notebook.metadata.papermill as PapermillCell | undefined;
    // The banners on a failure are not the run's cells: they would shift those that it numbers.
    const cells = notebook.cells.filter(cell => !tagged(cell, 'papermill-error-cell-tag'));
    this.cells = cells.map(cell => {
      const told = (cell.metadata as { papermill?: PapermillCell }).papermill;
      return {
        ...cellOf(cell),
        state: finishedState(cell, Boolean(whole?.exception)),
        count: (cell.execution_count as number | null | undefined) ?? null,
        seconds: told?.duration ?? null,
        outputs: ((cell.outputs ?? []) as IOutput[]).map(flat)
      };
    });
    this.current = null;
    this.ready = true;
    this._changed.emit({ kind: 'notebook' });
  }

  apply(event: RunEvent): void {
    switch (event.type) {
      case 'notebook':
        this._language(event.metadata);
        this.cells = event.cells.map(cellOf);
        this._clearing.clear();
        this.ready = true;
        this._changed.emit({ kind: 'notebook' });
        break;
      case 'kernel':
        this.kernel = { state: event.state, name: event.display_name ?? event.name };
        this._told(event.language_info?.name);
        break;
      case 'cell_start':
        this._start(event.index, event.time * 1000);
        break;
      case 'output':
        if (SHOWN.includes(event.output.output_type)) {
          this._add(event.index, event.output);
        }
        break;
      case 'stream':
        this._add(event.index, {
          output_type: 'stream',
          name: event.name,
          text: event.text
        });
        break;
      case 'display':
        this._display(event.display_id, event.data, event.metadata);
        break;
      case 'clear':
        this._clear(event.index, event.wait);
        break;
      case 'cell_end':
        this._end(event.index, event.status, event.execution_count, event.seconds);
        break;
      case 'end':
        this._stopCurrent(event.state === 'Failed' ? 'error' : 'canceled');
        break;
      default:
        break;
    }
  }

  private _language(metadata: PartialJSONObject): void {
    const info = metadata.language_info as { name?: string } | undefined;
    const spec = metadata.kernelspec as { language?: string } | undefined;
    this.language = info?.name ?? spec?.language ?? 'python';
  }

  /** Take the language that the kernel says it speaks, where the notebook said nothing or another. */
  private _told(language: string | undefined): void {
    if (language && language !== this.language) {
      this.language = language;
      this._changed.emit({ kind: 'notebook' });
    }
  }

  private _start(index: number, since: number): void {
    const cell = this.cells[index];
    if (cell) {
      this.current = index;
      cell.state = 'running';
      cell.since = since;
      this._changed.emit({ kind: 'state', index });
    }
  }

  private _end(index: number, status: CellStatus, count: number | null, seconds: number): void {
    const cell = this.cells[index];
    if (!cell) {
      return;
    }
    cell.state = status;
    cell.count = count;
    cell.seconds = seconds;
    cell.since = null;
    if (this.current === index) {
      this.current = null;
    }
    this._changed.emit({ kind: 'state', index });
  }

  private _stopCurrent(status: CellStatus): void {
    const cell = this.current === null ? undefined : this.cells[this.current];
    if (cell && this.current !== null) {
      this._end(this.current, status, cell.count, cell.seconds ?? 0);
    }
  }

  private _add(index: number, output: IOutput): void {
    const cell = this.cells[index];
    if (cell?.type !== 'code') {
      return;
    }
    if (this._clearing.delete(index)) {
      cell.outputs = [];
      this._changed.emit({ kind: 'outputs', index });
    }
    const last = cell.outputs.at(-1);
    if (
      output.output_type === 'stream' &&
      last?.output_type === 'stream' &&
      last.name === output.name
    ) {
      last.text = `${last.text as string}${output.text as string}`;
    } else {
      cell.outputs.push({ ...output });
    }
    this._changed.emit({ kind: 'add', index, output });
    const id = displayId(output);
    if (id) {
      this._display(id, output.data as PartialJSONObject, output.metadata as PartialJSONObject);
    }
  }

  private _clear(index: number, wait: boolean): void {
    const cell = this.cells[index];
    if (!cell) {
      return;
    }
    if (wait) {
      this._clearing.add(index);
    } else {
      cell.outputs = [];
      this._changed.emit({ kind: 'outputs', index });
    }
  }

  private _display(id: string, data: PartialJSONObject, metadata: PartialJSONObject): void {
    this.cells.forEach((cell, index) => {
      const touched = cell.outputs.filter(
        output => displayId(output) === id && output.data !== data
      );
      if (touched.length) {
        for (const output of touched) {
          output.data = data;
          output.metadata = metadata;
        }
        this._changed.emit({ kind: 'outputs', index });
      }
    });
  }

  private readonly _changed = new Signal<this, ReplayChange>(this);
  private readonly _clearing = new Set<number>();
}
