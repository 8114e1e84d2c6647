import { Signal, type ISignal } from '@lumino/signaling';
import { ApiError, type Api } from '../api/client';
import type { PageStream } from '../api/stream';
import type {
  Belonging,
  Change,
  Invitation,
  Membership,
  Removal,
  Role,
  ServiceAccount,
  Team
} from '../generated/api';
import { ActivityList } from './activity';
import { PagedList } from './paged';
import type { ProjectsModel } from './projects';

/** What is shown besides that which changes who sees what. */
const KINDS = new Set(['invitation', 'service_account']);
const SOON = 150;
const PAGE = 100;

/** One team as its page shows it: who is in it, who may come in, who acts for it. */
export class TeamModel {
  constructor(
    readonly id: string,
    private readonly _api: Api,
    private readonly _stream: PageStream,
    readonly projects: ProjectsModel
  ) {
    this.members = new PagedList<Membership>(
      (cursor, limit) => _api.members(id, { cursor, limit, q: this.filter }),
      PAGE
    );
    this.activity = new ActivityList(_api, _stream, `teams/${id}`, () => !this.lost);
    this.members.changed.connect(this._emit, this);
    _stream.changed.connect(this._onChange, this);
    _stream.accessChanged.connect(this._soon, this);
    _stream.resumed.connect(this._soon, this);
    projects.changed.connect(this._emit, this);
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  readonly members: PagedList<Membership>;
  readonly activity: ActivityList;
  team: Team | null = null;
  invitations: readonly Invitation[] = [];
  accounts: readonly ServiceAccount[] = [];
  ownerless: readonly Belonging[] = [];
  error: string | null = null;
  /** Whether the caller may not see it any more, or it is gone. */
  lost = false;
  /** What members are found by. */
  filter = '';

  get role(): Role | null {
    return this.projects.role(this.id);
  }

  /** Whether the caller is one of those who manage the team. */
  get manages(): boolean {
    return this.role === 'owner' || this.role === 'admin';
  }

  /** The people, those with most rights first. */
  get people(): readonly Membership[] {
    const rank = ['owner', 'admin', 'member', 'viewer'];
    return [...this.members.items].sort(
      (one, other) =>
        rank.indexOf(one.role) - rank.indexOf(other.role) || one.owner.localeCompare(other.owner)
    );
  }

  /** Where what this page may not do is done; empty where there is no such place. */
  get page(): string {
    return this.projects.me?.mode === 'hub' ? this._api.page('teams') : '';
  }

  get secretsPage(): string {
    const of = this.team?.private ? 'user' : `team:${this.id}`;
    return this._api.page(`secrets?of=${of}`);
  }

  get keysPage(): string {
    return this._api.page('keys');
  }

  get auditPage(): string {
    return this._api.page(`audit?team=${this.id}`);
  }

  async load(): Promise<void> {
    this._stream.start();
    await this.projects.load();
    await this.refresh();
  }

  async refresh(): Promise<void> {
    const { gains } = this.projects;
    if (this.team && !this.projects.isOurs({ team: this.id })) {
      this.lost = true;
      this._emit();
      return;
    }
    if (this.lost && this._refused === gains) {
      return;
    }
    try {
      this.team = await this._api.team(this.id);
      this.lost = false;
      this.error = null;
      await this._details();
    } catch (error) {
      const denied = error instanceof ApiError && [403, 404].includes(error.status);
      this.lost = denied;
      this._refused = gains;
      this.error = (error as Error).message;
    }
    this._emit();
  }

  find(text: string): void {
    this.filter = text;
    void this.members.reload();
  }

  /** Leave the team; without `confirm` only learn what the caller owns in it. */
  async leave(confirm: boolean): Promise<Removal> {
    const user = this.projects.me?.user ?? '';
    if (confirm) {
      this.projects.leaving(this.id);
    }
    const removal = await this._api.removeMember(this.id, user, { confirm: confirm || null });
    if (removal.removed) {
      this._stream.restart();
    }
    return removal;
  }

  dispose(): void {
    clearTimeout(this._timer);
    this._stream.changed.disconnect(this._onChange, this);
    this._stream.accessChanged.disconnect(this._soon, this);
    this._stream.resumed.disconnect(this._soon, this);
    this.projects.changed.disconnect(this._emit, this);
    this.members.dispose();
    this.activity.dispose();
    Signal.clearData(this);
  }

  /** Fetch what is in the team; what only some roles may see is left empty for the others. */
  private async _details(): Promise<void> {
    const none = { items: [] };
    const [invitations, accounts, ownerless] = await Promise.all([
      // A page's token is not told of them: in hub mode they are on the team's own page.
      this.manages && !this.page ? this._api.teamInvitations(this.id).catch(() => none) : none,
      this._api.serviceAccounts(this.id).catch(() => none),
      this._api.ownerless(this.id).catch(() => none),
      this.members.ready ? this.members.reload() : this.members.refresh()
    ]);
    this.invitations = invitations.items;
    this.accounts = accounts.items;
    this.ownerless = ownerless.items;
  }

  private _onChange(_: PageStream, change: Change): void {
    if (KINDS.has(change.kind)) {
      this._soon();
    }
  }

  private _soon(): void {
    this._timer ??= window.setTimeout(() => {
      this._timer = undefined;
      void this.refresh();
    }, SOON);
  }

  private _emit(): void {
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private _timer: number | undefined;
  /** What `gains` was when the team was refused. */
  private _refused = -1;
}
