import { Signal, type ISignal } from '@lumino/signaling';

export type RunTab = 'notebook' | 'log' | 'parameters' | 'outputs' | 'environment';

/** What of a run's page is shown. */
export class RunView {
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Someone asked to see a cell. */
  get cellWanted(): ISignal<this, number> {
    return this._cellWanted;
  }

  tab: RunTab = 'notebook';

  select(tab: RunTab): void {
    this.tab = tab;
    this._changed.emit();
  }

  showCell(index: number): void {
    this.select('notebook');
    this._cellWanted.emit(index);
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _cellWanted = new Signal<this, number>(this);
}
