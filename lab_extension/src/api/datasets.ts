import type {
  Dataset,
  DatasetChange,
  DatasetFile,
  DatasetMount,
  DatasetRead,
  DatasetVersion,
  DatasetVersionChange,
  DifferenceCount,
  Entered,
  FileDifference,
  NewDataset,
  NewDatasetVersion,
  Page,
  PublicDataset,
  Received
} from '../generated/api';
import type { Api, Query, RequestOptions } from './client';

/** A file as it is entered into a version. */
export interface Entering {
  path: string;
  md5: string;
  size: number;
}

/** The routes of datasets, as functions. */
export class DatasetRoutes {
  constructor(private readonly _api: Api) {}

  list = (query: Query): Promise<Page<Dataset>> => this._json('GET', 'datasets', { query });

  get = (id: string): Promise<Dataset> => this._json('GET', at(id));

  create = (body: Partial<NewDataset>): Promise<Dataset> =>
    this._json('POST', 'datasets', { body });

  change = (id: string, body: Partial<DatasetChange>): Promise<Dataset> =>
    this._json('PATCH', at(id), { body });

  delete = async (id: string): Promise<void> => {
    await this._api.fetch('DELETE', at(id));
  };

  versions = (id: string, query: Query): Promise<Page<DatasetVersion>> =>
    this._json('GET', `${at(id)}/versions`, { query });

  version = (id: string, version: string): Promise<DatasetVersion> =>
    this._json('GET', at(id, version));

  begin = (id: string, body: Partial<NewDatasetVersion>): Promise<DatasetVersion> =>
    this._json('POST', `${at(id)}/versions`, { body });

  changeVersion = (
    id: string,
    version: string,
    body: Partial<DatasetVersionChange>
  ): Promise<DatasetVersion> => this._json('PATCH', at(id, version), { body });

  deleteVersion = async (id: string, version: string): Promise<void> => {
    await this._api.fetch('DELETE', at(id, version));
  };

  commit = (id: string, version: string): Promise<DatasetVersion> =>
    this._json('POST', `${at(id, version)}/commit`);

  setTag = (id: string, tag: string, version: string): Promise<Dataset> =>
    this._json('PUT', `${at(id)}/tags/${enc(tag)}`, { body: { version } });

  removeTag = async (id: string, tag: string): Promise<void> => {
    await this._api.fetch('DELETE', `${at(id)}/tags/${enc(tag)}`);
  };

  files = (
    id: string,
    version: string,
    query: Query,
    signal?: AbortSignal
  ): Promise<Page<DatasetFile>> => this._json('GET', `${at(id, version)}/files`, { query, signal });

  removeFiles = (id: string, version: string, path: string[]): Promise<Entered> =>
    this._json('DELETE', `${at(id, version)}/files`, { query: { path } });

  /** The first `bytes` of a file, or all of it. */
  file = (
    id: string,
    version: string,
    path: string,
    { bytes, signal }: { bytes?: number; signal?: AbortSignal } = {}
  ): Promise<Response> => {
    const headers = bytes ? { Range: `bytes=0-${bytes - 1}` } : undefined;
    return this._api.fetch(
      'GET',
      `${at(id, version)}/files/${path.split('/').map(enc).join('/')}`,
      {
        headers,
        signal
      }
    );
  };

  /** Enter files into an uncommitted version: all of them, or none and the answer says what is missing. */
  enter = (
    id: string,
    version: string,
    files: readonly Entering[],
    signal: AbortSignal
  ): Promise<Entered> => {
    const raw = files.map(file => `${JSON.stringify(file)}\n`).join('');
    return this._json('POST', `${at(id, version)}/entries`, { raw, signal });
  };

  /** Send contents as one tar whose members are named by their MD5. */
  putObjects = async (
    id: string,
    version: string,
    raw: Blob,
    signal: AbortSignal
  ): Promise<void> => {
    await this._api.fetch('PUT', `${at(id, version)}/objects`, { raw, signal });
  };

  received = (
    id: string,
    version: string,
    md5: string,
    size: number,
    signal: AbortSignal
  ): Promise<Received> =>
    this._json('GET', `${at(id, version)}/objects/${md5}/received`, { query: { size }, signal });

  /** Send a piece of a content that is `size` bytes in all. */
  putPiece = (
    id: string,
    version: string,
    md5: string,
    query: { offset: number; size: number },
    raw: Blob,
    signal: AbortSignal
  ): Promise<Received> =>
    this._json('PUT', `${at(id, version)}/objects/${md5}`, { query, raw, signal });

  differences = (
    id: string,
    before: string,
    to: string,
    query: Query
  ): Promise<Page<FileDifference>> =>
    this._json('GET', `${at(id, before)}/diff`, { query: { ...query, to } });

  differenceCount = (id: string, before: string, to: string): Promise<DifferenceCount> =>
    this._json('GET', `${at(id, before)}/diff/count`, { query: { to } });

  reads = (id: string, version: string, query: Query): Promise<Page<DatasetRead>> =>
    this._json('GET', `${at(id, version)}/reads`, { query });

  mount = (id: string, version: string): Promise<DatasetMount> =>
    this._json('PUT', `${at(id, version)}/mount`, { body: {} });

  mounted = (id: string, version: string): Promise<DatasetMount> =>
    this._json('GET', `${at(id, version)}/mount`);

  unmount = async (id: string, version: string): Promise<void> => {
    await this._api.fetch('DELETE', `${at(id, version)}/mount`);
  };

  catalogue = (query: Query): Promise<Page<PublicDataset>> =>
    this._json('GET', 'public-datasets', { query });

  publicDataset = (name: string): Promise<PublicDataset> =>
    this._json('GET', `public-datasets/${enc(name)}`);

  fetchPublic = (name: string): Promise<PublicDataset> =>
    this._json('POST', `public-datasets/${enc(name)}/fetch`);

  stopFetching = async (name: string): Promise<void> => {
    await this._api.fetch('DELETE', `public-datasets/${enc(name)}/fetch`);
  };

  private async _json<T>(method: string, path: string, options?: RequestOptions): Promise<T> {
    return (await this._api.fetch(method, path, options)).json() as Promise<T>;
  }
}

function enc(part: string): string {
  return encodeURIComponent(part);
}

function at(id: string, version?: string): string {
  return `datasets/${enc(id)}${version === undefined ? '' : `/versions/${enc(version)}`}`;
}
