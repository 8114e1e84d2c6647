import { page } from './page';
import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { ServerConnection } from '@jupyterlab/services';
import { Api } from '../src/api/client';
import type { RunMessage } from '../src/api/events';
import { PageStream, type Follower } from '../src/api/stream';

/** A service whose streams a test writes by hand; each opened one is handed out in turn. */
async function service(
  t: TestContext,
  refuses: (url: string) => boolean = () => false
): Promise<{ api: Api; opened: () => Promise<Opened> }> {
  const waiting: Opened[] = [];
  let wake = (): void => undefined;
  const server = createServer((request, response) => {
    if (refuses(request.url ?? '')) {
      response.writeHead(404).end('{"message": "There is no such run."}');
      return;
    }
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.flushHeaders();
    const closed = new Promise<void>(done => response.on('close', done));
    waiting.push({ url: request.url ?? '', response, closed });
    wake();
  });
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const api = new Api(ServerConnection.makeSettings({ baseUrl, fetch, Request, Headers }));
  const opened = async (): Promise<Opened> => {
    for (;;) {
      const next = waiting.shift();
      if (next) {
        return next;
      }
      await new Promise<void>(done => {
        wake = done;
      });
    }
  };
  return { api, opened };
}

interface Opened {
  url: string;
  response: ServerResponse;
  closed: Promise<void>;
}

class Listener implements Follower {
  offset = 0;
  readonly seen: string[] = [];

  receive({ id, event }: RunMessage): void {
    this.offset = id;
    this.seen.push(event.type);
    this._wake();
    if (event.type === 'log') {
      throw new TypeError('An event that makes no sense.');
    }
  }

  async until(count: number): Promise<string[]> {
    while (this.seen.length < count) {
      await new Promise<void>(done => {
        this._wake = done;
      });
    }
    return this.seen;
  }

  private _wake = (): void => undefined;
}

function event(id: number, line: string, run = 'r1'): string {
  return `event: run\ndata: {"run": "${run}", "id": ${id}, "event": ${line}}\n\n`;
}

test('a follower gets each event once, also over a loss, which goes on where it was', async t => {
  const { api, opened } = await service(t);
  const stream = new PageStream(api);
  t.after(() => stream.dispose());
  const listener = new Listener();
  stream.follow('r1', listener);
  const first = await opened();
  assert.match(first.url, /\/nabla\/api\/v1\/stream\?follow=run%3Ar1%400$/);
  first.response.write(event(10, '{"type": "start"}') + event(20, '{"type": "cell_start"}'));
  await listener.until(2);
  first.response.end();
  const second = await opened();
  assert.match(second.url, /follow=run%3Ar1%4020$/);
  second.response.write(event(20, '{"type": "cell_start"}') + event(30, '{"type": "cell_end"}'));
  second.response.write(event(40, '{"type": "end"}', 'r2') + event(40, '{"type": "end"}'));
  assert.deepEqual(await listener.until(4), ['start', 'cell_start', 'cell_end', 'end']);
});

test('a line that makes no sense does not end the stream of the whole page', async t => {
  const { api, opened } = await service(t);
  const stream = new PageStream(api);
  t.after(() => stream.dispose());
  const listener = new Listener();
  stream.follow('r1', listener);
  const { response } = await opened();
  const lines = ['nonsense', '{"type"', '3', 'null', '{"type": "log"}'];
  lines.forEach((line, index) => response.write(event(10 + index, line)));
  response.write(event(50, '{"type": "end"}'));
  assert.deepEqual(await listener.until(2), ['log', 'end']);
  assert.ok(stream.connected);
  assert.ok(!response.closed);
});

test('what was missed is asked for when the stream is open again', async t => {
  const { api, opened } = await service(t);
  const stream = new PageStream(api);
  t.after(() => stream.dispose());
  const told: boolean[] = [];
  const order: string[] = [];
  stream.connectedChanged.connect((_, value) => told.push(value));
  stream.resumed.connect(() => order.push('resumed'));
  stream.learn(async () => {
    await Promise.resolve();
    order.push('learnt');
  });
  const again = new Promise<void>(done => stream.accessChanged.connect(() => done()));
  stream.start();
  (await opened()).response.destroy();
  await opened();
  await again;
  assert.deepEqual(order, ['resumed', 'learnt']);
  assert.deepEqual(told, [false, true]);
  assert.ok(stream.connected);
});

test('a followed run that is out of sight does not keep the page without a stream', async t => {
  const { api, opened } = await service(t, url => url.includes('follow='));
  const stream = new PageStream(api);
  t.after(() => stream.dispose());
  const told = new Promise<void>(done => stream.accessChanged.connect(() => done()));
  stream.follow('r1', new Listener());
  assert.match((await opened()).url, /stream$/);
  await told;
  assert.ok(stream.connected);
});

test('a change of a row reaches those who listen', async t => {
  const { api, opened } = await service(t);
  const stream = new PageStream(api);
  t.after(() => stream.dispose());
  const changed = new Promise(done => stream.changed.connect((_, change) => done(change)));
  stream.start();
  const { response } = await opened();
  response.write('event: open\ndata: {}\n\n: still here\n\nevent: change\ndata: {"id": "r1"}\n\n');
  assert.deepEqual(await changed, { id: 'r1' });
});

test('a hidden page has no stream, and one that is seen again has', async t => {
  const { api, opened } = await service(t);
  const stream = new PageStream(api);
  t.after(() => stream.dispose());
  stream.start();
  const first = await opened();
  page.hidden = true;
  page.dispatchEvent(new Event('visibilitychange'));
  await first.closed;
  page.hidden = false;
  page.dispatchEvent(new Event('visibilitychange'));
  assert.ok(await opened());
});
