import { Signal, type ISignal } from '@lumino/signaling';
import type { Api } from '../api/client';
import type { Link } from '../generated/api';

const ARGUMENT = 'nabla-fork';

/** A notebook of somebody else's that this page was asked, by its address, to copy. */
export class ForkModel {
  constructor(private readonly _api: Api) {
    this.token = new URLSearchParams(location.search).get(ARGUMENT) ?? '';
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Empty: nothing is to be copied. */
  token: string;
  link: Link | null = null;
  error: string | null = null;
  busy = false;

  /** Learn what it is, and take the token out of the page's address: who reads that may look, too. */
  async load(): Promise<void> {
    if (!this.token) {
      return;
    }
    const address = new URL(location.href);
    address.searchParams.delete(ARGUMENT);
    history.replaceState(history.state, '', address);
    await this._try(async () => {
      this.link = await this._api.openLink(this.token);
    });
  }

  /** Copy it into the caller's files and return its path there; null when that failed. */
  async copy(): Promise<string | null> {
    let path: string | null = null;
    await this._try(async () => {
      ({ path } = await this._api.fork(this.token));
      this.token = '';
    });
    return path;
  }

  dismiss(): void {
    this.token = '';
    this._changed.emit();
  }

  private async _try(action: () => Promise<void>): Promise<void> {
    this.busy = true;
    this.error = null;
    this._changed.emit();
    try {
      await action();
    } catch (error) {
      this.error = (error as Error).message;
    }
    this.busy = false;
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
}
