import { Signal } from '@lumino/signaling';

/** Which version of a dataset its page shall show, asked for before or while that is open. */
class Wanted {
  readonly asked = new Signal<this, string>(this);

  ask(dataset: string, version: string): void {
    this._versions.set(dataset, version);
    this.asked.emit(dataset);
  }

  /** The version that was asked for, once. */
  take(dataset: string): string {
    const version = this._versions.get(dataset) ?? '';
    this._versions.delete(dataset);
    return version;
  }

  private readonly _versions = new Map<string, string>();
}

export const wanted = new Wanted();
