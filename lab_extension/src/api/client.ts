import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type {
  Instances,
  Manifest,
  Me,
  NewProject,
  NewRun,
  NotebookSummary,
  Page,
  Problem,
  Project,
  ProjectChange,
  ProjectDeletion,
  Rerun,
  Run,
  Snapshot
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

type Query = Record<string, string | number | boolean | null | undefined>;

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

  /** Pack the folder of a notebook on the user's own server, and upload what the store lacks. */
  pack = async (path: string): Promise<PackedNotebook> => {
    const url = URLExt.join(this._own.baseUrl, 'nabla/snapshot');
    const init: RequestInit = { method: 'POST', cache: 'no-cache', body: JSON.stringify({ path }) };
    return (await this._send(url, init, this._own)).json() as Promise<PackedNotebook>;
  };

  /** A file that a run wrote, or its notebook, as something the browser can save. */
  blob = async (path: string): Promise<Blob> => (await this.fetch('GET', path)).blob();

  /** Send a request below the API; raises `ApiError` for an answer that is an error. */
  fetch(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
    const url = URLExt.join(this._service.baseUrl, path) + queryString(options.query);
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    // `no-store` would make Lab append a time to the address.
    const init: RequestInit = { method, cache: 'no-cache', signal: options.signal, body };
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
  body?: unknown;
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
            .filter(([, value]) => value !== undefined && value !== null && value !== '')
            .map(([key, value]) => [key, String(value)])
        );
  const text = given.toString();
  return text ? `?${text}` : '';
}
