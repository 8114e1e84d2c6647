import './page';
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { readEvents, type ServerEvent } from '../src/api/sse';

const STREAM = [
  'event: open\ndata: {}\n\n',
  ': still here\n\n',
  'event: run\nid: 17\ndata: {"text": "grüße 🦋 日本"}\n\n',
  'data:no space\ndata:  two spaces\n\n',
  'data\n\n',
  'retry: 5\n\n',
  'event: change\ndata: a:b\n\n'
].join('');

const EVENTS: ServerEvent[] = [
  { event: 'open', data: '{}' },
  { event: 'run', data: '{"text": "grüße 🦋 日本"}' },
  { event: 'message', data: 'no space\n two spaces' },
  { event: 'message', data: '' },
  { event: 'change', data: 'a:b' }
];

function body(...pieces: (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) {
        controller.enqueue(typeof piece === 'string' ? encoder.encode(piece) : piece);
      }
      controller.close();
    }
  });
}

async function read(stream: ReadableStream<Uint8Array>): Promise<ServerEvent[]> {
  const events: ServerEvent[] = [];
  for await (const event of readEvents(stream)) {
    events.push(event);
  }
  return events;
}

for (const [name, stream] of [
  ['LF', STREAM],
  ['CR LF', STREAM.replaceAll('\n', '\r\n')]
] as const) {
  test(`events whose lines end in ${name} are the same wherever the stream is cut in two`, async () => {
    const bytes = new TextEncoder().encode(stream);
    for (let cut = 0; cut <= bytes.length; cut++) {
      assert.deepEqual(
        await read(body(bytes.slice(0, cut), bytes.slice(cut))),
        EVENTS,
        `at ${cut}`
      );
    }
  });

  test(`events whose lines end in ${name} may come byte by byte`, async () => {
    const bytes = new TextEncoder().encode(stream);
    assert.deepEqual(await read(body(...Array.from(bytes, byte => Uint8Array.of(byte)))), EVENTS);
  });
}

test('an event that breaks off is none', async () => {
  assert.deepEqual(await read(body('data: 1\n\ndata: 2\n')), [{ event: 'message', data: '1' }]);
});

test('an empty stream has no events', async () => {
  assert.deepEqual(await read(body()), []);
});

test('a large event arrives whole', async () => {
  const piece = 'x'.repeat(65_536);
  const [event] = await read(body('data: ', ...Array<string>(64).fill(piece), '\n', '\n'));
  assert.equal(event?.data.length, 64 * piece.length);
});

test('a reader that leaves lets go of the stream', async () => {
  let canceled = false;
  const stream = new ReadableStream<Uint8Array>({
    pull: controller => controller.enqueue(new TextEncoder().encode('data: 1\n\n')),
    cancel: () => {
      canceled = true;
    }
  });
  for await (const { data } of readEvents(stream)) {
    assert.equal(data, '1');
    break;
  }
  assert.ok(canceled);
});

test('a stream that falls silent is given up, and one that says it is there is not', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    const stream = new ReadableStream<Uint8Array>({
      start: given => {
        controller = given;
      }
    });
    const events = readEvents(stream);
    const first = events.next();
    let settled = false;
    void first.finally(() => {
      settled = true;
    });
    for (let beat = 0; beat < 5; beat++) {
      mock.timers.tick(39_000);
      controller?.enqueue(new TextEncoder().encode(': still here\n\n'));
      await new Promise(done => setImmediate(done));
    }
    assert.ok(!settled);
    controller?.enqueue(new TextEncoder().encode('data: 1\n\n'));
    assert.deepEqual(await first, { done: false, value: { event: 'message', data: '1' } });
    const second = events.next();
    mock.timers.tick(40_000);
    await assert.rejects(second, /silence/);
  } finally {
    mock.timers.reset();
  }
});
