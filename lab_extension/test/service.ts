import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { ServerConnection } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';
import { Api } from '../src/api/client';
import type { PageStream } from '../src/api/stream';
import type { Change } from '../src/generated/api';

/** What the service answers to a path below its API: a body, or null for 404. */
export type Answer = (path: string, query: URLSearchParams, body: string) => unknown;

/** An answer that refuses a value, and says which. */
export class Refusal {
  constructor(
    readonly message: string,
    readonly field: string
  ) {}
}

/** An `Api` whose service answers as `answer` says; the paths that it was asked for are kept. */
export async function service(
  t: TestContext,
  answer: Answer
): Promise<{ api: Api; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://service/');
    const path = pathname.replace('/nabla/api/v1/', '');
    let body = '';
    request.on('data', piece => (body += String(piece)));
    request.on('end', () => {
      asked.push(`${request.method} ${path}${searchParams.size ? `?${searchParams}` : ''}`);
      void Promise.resolve(answer(path, searchParams, body)).then(found => {
        const status = found instanceof Refusal ? 400 : found ? 200 : 404;
        response.writeHead(status).end(JSON.stringify(found ?? { message: 'No.' }));
      });
    });
  });
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    api: new Api(ServerConnection.makeSettings({ baseUrl, fetch, Request, Headers })),
    asked
  };
}

/** The page's stream as far as models listen to it, told by the test what came. */
export class Told {
  readonly changed = new Signal<this, Change>(this);
  readonly resumed = new Signal<this, void>(this);
  readonly accessChanged = new Signal<this, void>(this);
  readonly connectedChanged = new Signal<this, boolean>(this);
  readonly connected = true;

  /** The runs that are followed now. */
  readonly followed: string[] = [];

  start(): void {
    // It is open from the beginning.
  }

  learn(work: () => Promise<void>): void {
    this._learn = work;
  }

  follow(run: string): IDisposable {
    this.followed.push(run);
    return {
      isDisposed: false,
      dispose: () => void this.followed.splice(this.followed.indexOf(run), 1)
    };
  }

  /** Tell that who may see what changed, as the stream does: those who know first learn of it. */
  async tellAccess(): Promise<void> {
    await this._learn();
    this.accessChanged.emit();
  }

  get stream(): PageStream {
    return this as unknown as PageStream;
  }

  private _learn = (): Promise<void> => Promise.resolve();
}

/** Wait until `done` returns true. */
export async function until(done: () => boolean): Promise<void> {
  while (!done()) {
    await new Promise(again => setTimeout(again, 5));
  }
}
