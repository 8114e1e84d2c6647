import { Signal, type ISignal } from '@lumino/signaling';
import type { Api } from '../api/client';
import type { PageStream } from '../api/stream';
import type { NewShare, Share } from '../generated/api';

/** With whom a project is shared. */
export class SharesModel {
  constructor(
    readonly project: string,
    private readonly _api: Api,
    private readonly _stream: PageStream,
    /** Whether the project is in sight: else nothing is asked for. */
    private readonly _inSight: () => boolean
  ) {
    _stream.resumed.connect(this._refresh, this);
    _stream.accessChanged.connect(this._refresh, this);
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  items: readonly Share[] = [];
  error: string | null = null;

  async refresh(): Promise<void> {
    // Who may not see with whom it is shared is shown nothing of it.
    const page = await this._api.shares(this.project).catch(() => null);
    this.items = page?.items ?? [];
    this._changed.emit();
  }

  /** Share the project; tells whether it was done, `error` saying why not. */
  add = (body: NewShare): Promise<boolean> =>
    this._act(async () => {
      const share = await this._api.share(this.project, body);
      this.items = [...this.items.filter(({ id }) => id !== share.id), share];
    });

  remove = (share: Share): Promise<boolean> =>
    this._act(async () => {
      await this._api.unshare(this.project, share.id);
      this.items = this.items.filter(({ id }) => id !== share.id);
    });

  dispose(): void {
    this._stream.resumed.disconnect(this._refresh, this);
    this._stream.accessChanged.disconnect(this._refresh, this);
    Signal.clearData(this);
  }

  private async _act(action: () => Promise<void>): Promise<boolean> {
    try {
      await action();
      this.error = null;
    } catch (error) {
      this.error = (error as Error).message;
    }
    this._changed.emit();
    return this.error === null;
  }

  private _refresh(): void {
    if (this._inSight()) {
      void this.refresh();
    }
  }

  private readonly _changed = new Signal<this, void>(this);
}
