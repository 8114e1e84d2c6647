import { Poll } from '@lumino/polling';
import { Signal, type ISignal } from '@lumino/signaling';
import type { Api } from '../api/client';
import type { PageStream } from '../api/stream';
import type { Change, Invitation, Membership } from '../generated/api';
import type { ProjectsModel } from './projects';

const QUIET = 60_000;

/** The teams that wait for the caller to join them. */
export class InvitationsModel {
  constructor(
    private readonly _api: Api,
    private readonly _stream: PageStream,
    private readonly _projects: ProjectsModel
  ) {
    this._poll = new Poll({
      auto: false,
      name: 'nabla-hub:invitations',
      factory: () => this.refresh(),
      frequency: { interval: QUIET, backoff: true, max: 5 * QUIET },
      standby: 'when-hidden'
    });
    _stream.changed.connect(this._onChange, this);
    _stream.resumed.connect(this._onResumed, this);
    _stream.accessChanged.connect(this._onResumed, this);
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  items: readonly Invitation[] = [];
  error: string | null = null;

  /** Where an invitation is taken up when the page's token may not; empty where it may. */
  get page(): string {
    return this._projects.me?.mode === 'hub' ? this._api.page('teams') : '';
  }

  start(): void {
    void this._poll.start();
    void this._poll.refresh();
  }

  /** Stop asking, while nobody looks. */
  pause(): void {
    void this._poll.stop();
  }

  async refresh(): Promise<void> {
    // Whoever cannot be asked now is asked again later: no invitation is no news.
    const page = await this._api.invitations().catch(() => null);
    if (page) {
      this.items = page.items;
      this._changed.emit();
    }
  }

  /** Join the team of an invitation. */
  async accept(invitation: Invitation): Promise<Membership | null> {
    try {
      const membership = await this._api.accept(invitation.id);
      this.error = null;
      this.items = this.items.filter(({ id }) => id !== invitation.id);
      this._changed.emit();
      this._stream.restart();
      return membership;
    } catch (error) {
      this.error = (error as Error).message;
      this._changed.emit();
      return null;
    }
  }

  private _onResumed(): void {
    void this.refresh();
  }

  private _onChange(_: PageStream, change: Change): void {
    if (change.kind === 'invitation') {
      void this.refresh();
    }
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly _poll: Poll;
}
