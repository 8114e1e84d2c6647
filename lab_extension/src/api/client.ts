import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type {
  Activity,
  Belonging,
  DatasetMount,
  Found,
  Instances,
  Invitation,
  Link,
  MadeLink,
  Manifest,
  Me,
  Membership,
  NewLink,
  NewProject,
  NewRun,
  NewShare,
  NotebookSummary,
  Page,
  Problem,
  Project,
  ProjectChange,
  ProjectDeletion,
  Removal,
  Rerun,
  Run,
  ServiceAccount,
  Share,
  Snapshot,
  StorageProvider,
  TagUse,
  Team
} from '../generated/api';

/** What the user's own server answers when it has packed a notebook's folder. */
export interface PackedNotebook {
  snapshot: Snapshot;
  notebook: string;
  summary: NotebookSummary;
}

/** A file in the folder that a run worked in. */
export interface WorkFile {
  path: string;
  size: number;
  modified: number | string;
}

/** An answer that is an error: its message is a sentence for the person who reads it. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem
  ) {
    super(problem.message);
  }
}

type Value = string | number | boolean | null | undefined;
/** An array is sent as a word for each of its items. */
export type Query = Record<string, Value | readonly string[]>;

/** Where the API is for this page: the server extension says so in the page's configuration. */
function apiBase(baseUrl: string): string {
  const option = PageConfig.getOption('nabla');
  const api = option ? (JSON.parse(option) as { api?: string }).api : undefined;
  if (!api) {
    return URLExt.join(baseUrl, 'nabla/api/v1/');
  }
  return new URL(api.endsWith('/') ? api : `${api}/`, new URL(baseUrl, location.href)).href;
}

async function problemOf(response: Response): Promise<Problem> {
  const text = await response.text().catch(() => '');
  try {
    const body = JSON.parse(text) as Partial<Problem>;
    if (body.message) {
      return { message: body.message, error: body.error ?? '', field: body.field ?? null };
    }
  } catch {
    // A proxy in between answers in HTML: its page is of no use in one line.
  }
  return {
    message: `The server answered ${response.status} ${response.statusText}`.trim() + '.',
    error: '',
    field: null
  };
}

/** The routes of Nabla's API, and of the user's own server, as functions. */
export class Api {
  constructor(own = ServerConnection.makeSettings()) {
    this._own = own;
    const baseUrl = apiBase(own.baseUrl);
    this._service = ServerConnection.makeSettings({ baseUrl, token: own.token });
  }

  me = (): Promise<Me> => this._json('GET', 'me');

  instances = (): Promise<Instances> => this._json('GET', 'instances');

  projects = (query: Query): Promise<Page<Project>> => this._json('GET', 'projects', { query });

  project = (id: string): Promise<Project> => this._json('GET', `projects/${enc(id)}`);

  createProject = (body: NewProject): Promise<Project> => this._json('POST', 'projects', { body });

  changeProject = (id: string, body: ProjectChange): Promise<Project> =>
    this._json('PATCH', `projects/${enc(id)}`, { body });

  /** Without `confirm` nothing is deleted, and the answer says what would go with it. */
  deleteProject = (id: string, confirm: boolean): Promise<ProjectDeletion> =>
    this._json('DELETE', `projects/${enc(id)}`, { query: confirm ? { confirm } : {} });

  teams = (query: Query): Promise<Page<Team>> => this._json('GET', 'teams', { query });

  team = (id: string): Promise<Team> => this._json('GET', `teams/${enc(id)}`);

  members = (team: string, query: Query): Promise<Page<Membership>> =>
    this._json('GET', `teams/${enc(team)}/members`, { query });

  /** Take a person out of a team, oneself too; without `confirm` only learn what they own there. */
  removeMember = (team: string, user: string, query: Query): Promise<Removal> =>
    this._json('DELETE', `teams/${enc(team)}/members/${enc(user)}`, { query });

  teamInvitations = (team: string): Promise<Page<Invitation>> =>
    this._json('GET', `teams/${enc(team)}/invitations`, { query: { limit: 200 } });

  serviceAccounts = (team: string): Promise<Page<ServiceAccount>> =>
    this._json('GET', `teams/${enc(team)}/service-accounts`, { query: { limit: 200 } });

  ownerless = (team: string): Promise<{ items: Belonging[] }> =>
    this._json('GET', `teams/${enc(team)}/ownerless`);

  /** The invitations that wait for the caller. */
  invitations = (): Promise<Page<Invitation>> => this._json('GET', 'invitations');

  accept = (invitation: string): Promise<Membership> =>
    this._json('POST', 'invitations/accept', { body: { invitation } });

  /** What was done lately in `teams/ID` or `projects/ID`, as sentences. */
  activity = (below: string, query: Query): Promise<Page<Activity>> =>
    this._json('GET', `${below}/activity`, { query });

  shares = (project: string): Promise<Page<Share>> =>
    this._json('GET', `projects/${enc(project)}/shares`, { query: { limit: 200 } });

  share = (project: string, body: NewShare): Promise<Share> =>
    this._json('POST', `projects/${enc(project)}/shares`, { body });

  unshare = async (project: string, share: string): Promise<void> => {
    await this.fetch('DELETE', `projects/${enc(project)}/shares/${enc(share)}`);
  };

  links = (query: Query): Promise<Page<Link>> => this._json('GET', 'links', { query });

  createLink = (body: Partial<NewLink>): Promise<MadeLink> => this._json('POST', 'links', { body });

  /** What is behind the token of a link. */
  openLink = async (token: string): Promise<Link> =>
    (await this._json<{ link: Link }>('POST', 'links/open', { body: { token } })).link;

  deleteLink = async (id: string): Promise<void> => {
    await this.fetch('DELETE', `links/${enc(id)}`);
  };

  search = (query: Query, signal: AbortSignal): Promise<Page<Found>> =>
    this._json('GET', 'search', { query, signal });

  tags = (q: string): Promise<Page<TagUse>> =>
    this._json('GET', 'tags', { query: { q, limit: 8 } });

  tag = (id: string, tags: string[]): Promise<Found> =>
    this._json('PUT', `tags/${enc(id)}`, { body: { tags } });

  runs = (query: Query): Promise<Page<Run>> => this._json('GET', 'runs', { query });

  run = (id: string): Promise<Run> => this._json('GET', `runs/${enc(id)}`);

  createRun = (body: NewRun): Promise<Run> => this._json('POST', 'runs', { body });

  rerun = (id: string, body: Rerun): Promise<Run> =>
    this._json('POST', `runs/${enc(id)}/rerun`, { body });

  cancelRun = (id: string): Promise<Run> => this._json('POST', `runs/${enc(id)}/cancel`);

  deleteRun = async (id: string): Promise<void> => {
    await this.fetch('DELETE', `runs/${enc(id)}`);
  };

  runNotebook = (id: string): Promise<unknown> => this._json('GET', `runs/${enc(id)}/notebook`);

  runFiles = (id: string): Promise<{ items: WorkFile[] }> =>
    this._json('GET', `runs/${enc(id)}/files`);

  snapshot = (id: string): Promise<Snapshot> => this._json('GET', `snapshots/${enc(id)}`);

  snapshotFiles = (id: string): Promise<Manifest> =>
    this._json('GET', `snapshots/${enc(id)}/files`);

  inspect = (notebook: unknown, path: string): Promise<NotebookSummary> =>
    this._json('POST', 'notebooks/inspect', { body: notebook, query: { path } });

  /** Pack the folder of a notebook on the user's own server, and upload what the store of the project's team lacks. */
  pack = async (path: string, project: string | null = null): Promise<PackedNotebook> => {
    const url = URLExt.join(this._own.baseUrl, 'nabla/snapshot');
    const body = JSON.stringify({ path, project });
    const init: RequestInit = { method: 'POST', cache: 'no-cache', body };
    return (await this._send(url, init, this._own)).json() as Promise<PackedNotebook>;
  };

  /** Copy the notebook behind a link's token into the user's own files; answers its path there. */
  fork = async (token: string): Promise<{ path: string }> => {
    const url = URLExt.join(this._own.baseUrl, 'nabla/fork');
    const init: RequestInit = {
      method: 'POST',
      cache: 'no-cache',
      body: JSON.stringify({ token })
    };
    return (await this._send(url, init, this._own)).json() as Promise<{ path: string }>;
  };

  /** Show a version of a dataset beside the user's own notebooks; `path` is where, once it is ready. */
  mountDataset = async (ref: string): Promise<DatasetMount> => {
    const url = URLExt.join(this._own.baseUrl, 'nabla/datasets/mount');
    const init: RequestInit = { method: 'POST', cache: 'no-cache', body: JSON.stringify({ ref }) };
    return (await this._send(url, init, this._own)).json() as Promise<DatasetMount>;
  };

  storageProvider = (id: string): Promise<StorageProvider> =>
    this._json('GET', `storage-providers/${enc(id)}`);

  /** Where a page of the service is for people: `keys`, `teams`, `view/TOKEN`. */
  page(path: string): string {
    return new URL(path.replace(/^\//, ''), this._service.baseUrl.replace(/api\/v1\/$/, '')).href;
  }

  /** A file that a run wrote, or its notebook, as something the browser can save. */
  blob = async (path: string): Promise<Blob> => (await this.fetch('GET', path)).blob();

  /** Send a request below the API; raises `ApiError` for an answer that is an error. */
  fetch(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const url = URLExt.join(this._service.baseUrl, path) + queryString(options.query);
    const { body: value, raw, signal } = options;
    const body = value === undefined ? raw : JSON.stringify(value);
    const headers = {
      ...(raw && { 'Content-Type': 'application/octet-stream' }),
      ...options.headers
    };
    // `no-store` would make Lab append a time to the address.
    const init: RequestInit = { method, cache: 'no-cache', signal, body, headers };
    return this._send(url, init, this._service);
  }

  private async _json<T>(method: string, path: string, options?: RequestOptions): Promise<T> {
    return (await this.fetch(method, path, options)).json() as Promise<T>;
  }

  private async _send(
    url: string,
    init: RequestInit,
    settings: ServerConnection.ISettings
  ): Promise<Response> {
    const response = await ServerConnection.makeRequest(url, init, settings);
    if (!response.ok) {
      throw new ApiError(response.status, await problemOf(response));
    }
    return response;
  }

  private readonly _own: ServerConnection.ISettings;
  private readonly _service: ServerConnection.ISettings;
}

export interface RequestOptions {
  query?: Query | URLSearchParams;
  /** What is sent as JSON. */
  body?: unknown;
  /** What is sent as it is. */
  raw?: Blob | string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

function enc(part: string): string {
  return encodeURIComponent(part);
}

function queryString(query: Query | URLSearchParams | undefined): string {
  if (!query) {
    return '';
  }
  const given =
    query instanceof URLSearchParams
      ? query
      : new URLSearchParams(
          Object.entries(query)
            .flatMap(([key, value]) =>
              (Array.isArray(value) ? value : [value]).map(one => [key, one])
            )
            .filter(([, value]) => value !== undefined && value !== null && value !== '')
            .map(([key, value]) => [String(key), String(value)])
        );
  const text = given.toString();
  return text ? `?${text}` : '';
}
