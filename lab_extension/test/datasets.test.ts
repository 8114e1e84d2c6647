import './page';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { DatasetRoutes } from '../src/api/datasets';
import type { DatasetFile, Page } from '../src/generated/api';
import { newest, tagsOf } from '../src/model/datasets';
import { sideBySide } from '../src/model/lines';
import { Md5 } from '../src/model/md5';
import { look } from '../src/model/preview';
import { readCsv, readJsonLines } from '../src/model/table';
import { tar } from '../src/model/tar';
import { FileTree } from '../src/model/tree';
import { UploadModel } from '../src/model/upload';
import { service, until } from './service';

function file(path: string, size = 1): DatasetFile {
  return { path, type: 'file', size, files: 1, md5: '0'.repeat(32) };
}

function folder(path: string, files: number): DatasetFile {
  return { path, type: 'folder', size: files, files, md5: '' };
}

test('an MD5 is that of the whole, however it comes in pieces', () => {
  for (const size of [0, 1, 55, 56, 63, 64, 65, 1000, 70_001]) {
    const data = Uint8Array.from({ length: size }, (_, at) => (at * 31) & 255);
    const sum = new Md5();
    for (let at = 0; at < size; at += 77) {
      sum.update(data.subarray(at, at + 77));
    }
    assert.equal(sum.hex(), createHash('md5').update(data).digest('hex'), String(size));
  }
});

test('a table keeps quoted separators and line ends, and drops the line that was cut', () => {
  const text = 'id;name\r\n1;"a;b"\n2;"say ""no""\nor"\n3;c';
  assert.deepEqual(readCsv(text, false), {
    head: ['id', 'name'],
    rows: [
      ['1', 'a;b'],
      ['2', 'say "no"\nor'],
      ['3', 'c']
    ]
  });
  assert.equal(readCsv(text, true).rows.length, 2);
  assert.deepEqual(readCsv('', false), { head: [], rows: [] });
});

test('JSON lines have a column for each name; lines that are no objects have one', () => {
  assert.deepEqual(readJsonLines('{"a":1}\n{"b":["x"],"a":null}\n{"a":', true), {
    head: ['a', 'b'],
    rows: [
      ['1', ''],
      ['null', '["x"]']
    ]
  });
  assert.deepEqual(readJsonLines('[1]\nno', false), { head: [''], rows: [['[1]'], ['no']] });
});

test('lines that are alike stand side by side', () => {
  const pairs = sideBySide('a\nb\nc', 'a\nx\nc\nd');
  assert.deepEqual(
    pairs.map(({ before, after, same }) => [before, after, same]),
    [
      ['a', 'a', true],
      ['b', 'x', false],
      ['c', 'c', true],
      [null, 'd', false]
    ]
  );
});

test('of a large file only the beginning is fetched, and bytes are not taken for text', async () => {
  const asked: (number | undefined)[] = [];
  const fetching = (body: string | Uint8Array) => (_: string, most?: number) => {
    asked.push(most);
    return Promise.resolve(new Response((body as string).slice(0, most)));
  };
  const large = await look(fetching('é'.repeat(500_000)), file('notes.txt', 1_000_000));
  assert.equal(large.kind === 'text' && large.cut, true);
  assert.deepEqual(asked, [64_000]);
  const odd = await look(fetching('a\0b'), file('odd.txt', 3));
  assert.equal(odd.kind, 'binary');
  assert.equal((await look(fetching(''), file('huge.png', 1e9))).kind, 'large');
  const broken = await look(fetching('{"no": 1}'), file('no.ipynb', 9));
  assert.equal(broken.kind, 'text');
  const nothing = await look(fetching('null'), file('null.ipynb', 4));
  assert.equal(nothing.kind, 'text');
});

test('a tag names a version better than its seven characters, and v10 is newer than v9', () => {
  const dataset = {
    latest: 'fo5rp4m',
    version_tags: { v9: 'fo5rp4m', v10: 'fo5rp4m', old: 'aaaaaaa' }
  };
  assert.deepEqual(tagsOf(dataset, 'fo5rp4m'), ['v10', 'v9']);
  assert.equal(newest(dataset), 'v10');
  assert.equal(newest({ latest: 'bbbbbbb', version_tags: {} }), 'bbbbbbb');
});

test('a tree fetches a folder when it is opened, page by page, and knows how long it is', async () => {
  const asked: string[] = [];
  const many = Array.from({ length: 2500 }, (_, at) => file(`a/${String(at).padStart(4, '0')}`));
  const tree = new FileTree(
    ({ path, cursor, limit }): Promise<Page<DatasetFile>> => {
      asked.push(`${path}@${cursor ?? ''}`);
      const all = path === 'a' ? many : [folder('a', 2500), file('z')];
      const from = Number(cursor ?? 0);
      const next = from + limit < all.length ? String(from + limit) : null;
      return Promise.resolve({ items: all.slice(from, from + limit), cursor: next, total: null });
    },
    () => 2501
  );
  await tree.load();
  assert.deepEqual(asked, ['@']);
  assert.equal(tree.rows.length, 2);
  const [top] = tree.rows;
  assert.ok(top);
  tree.toggle(top);
  await until(() => tree.rows.length > 3);
  assert.equal(tree.rows.length, 2502, 'lines that have not come yet have a place');
  tree.want(2400, 2502);
  await until(() => asked.length === 3);
  await until(() => tree.rows[1500]?.file !== null);
  const [first] = tree.rows;
  assert.ok(first);
  tree.toggle(first);
  assert.equal(tree.rows.length, 2);
});

test('a tar has a header that fits and contents on whole blocks', async () => {
  const blob = tar([{ name: 'a'.repeat(32), data: new Blob(['hello']) }]);
  assert.equal(blob.size, 512 + 512 + 1024);
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const text = new TextDecoder().decode(bytes);
  assert.equal(text.slice(257, 262), 'ustar');
  assert.equal(parseInt(text.slice(124, 135), 8), 5);
  const sum = bytes
    .subarray(0, 512)
    .reduce((all, one, at) => all + (at >= 148 && at < 156 ? 32 : one), 0);
  assert.equal(parseInt(text.slice(148, 154), 8), sum);
});

/** A service that keeps contents by MD5, and an upload to it. */
async function uploading(t: TestContext, fails: (path: string) => boolean = () => false) {
  const stored = new Map<string, number>();
  const entered = new Map<string, string>();
  const pieces = new Map<string, number>();
  const { api, asked } = await service(t, (path, query, body) => {
    if (fails(path)) {
      return null;
    }
    const md5 =
      path.split('/').at(-1) === 'received' ? path.split('/').at(-2) : path.split('/').at(-1);
    if (path.endsWith('/entries')) {
      const lines = body
        .trim()
        .split('\n')
        .map(line => JSON.parse(line) as { path: string; md5: string });
      const missing = lines.filter(line => !stored.has(line.md5)).map(line => line.md5);
      if (!missing.length) {
        lines.forEach(line => entered.set(line.path, line.md5));
      }
      return { entered: missing.length ? 0 : lines.length, deleted: 0, missing };
    }
    if (path.endsWith('/objects')) {
      for (let at = 0; at + 1024 < body.length;) {
        const size = parseInt(body.slice(at + 124, at + 135), 8);
        stored.set(body.slice(at, at + 32), size);
        at += 512 + Math.ceil(size / 512) * 512;
      }
      return { stored: stored.size };
    }
    const have = pieces.get(md5 ?? '') ?? 0;
    const received = path.endsWith('received') ? have : have + body.length;
    pieces.set(md5 ?? '', received);
    const complete = received === Number(query.get('size'));
    if (complete) {
      stored.set(md5 ?? '', received);
    }
    return { received, complete };
  });
  const upload = new UploadModel(new DatasetRoutes(api), 'ds1', 1);
  return { upload, stored, entered, pieces, asked };
}

function incoming(path: string, content: string) {
  return { path, file: new File([content], path) };
}

test('small files go together, and what the store has is not sent again', async t => {
  const { upload, entered, asked } = await uploading(t);
  await upload.start('v', [
    incoming('a.txt', 'one'),
    incoming('b/c.txt', 'two'),
    incoming('d', 'one')
  ]);
  assert.deepEqual([...entered.keys()], ['a.txt', 'b/c.txt', 'd']);
  assert.deepEqual([upload.done, upload.sent, upload.failed.length], [3, 9, 0]);
  assert.equal(asked.filter(line => line.startsWith('PUT')).length, 1);
  asked.length = 0;
  await upload.start('v', [incoming('again.txt', 'one')]);
  assert.equal(asked.filter(line => line.startsWith('PUT')).length, 0);
});

test('a large file goes in pieces, after those that were received before', async t => {
  const { upload, entered, pieces, asked } = await uploading(t);
  const content = 'x'.repeat(5_000_000);
  pieces.set(createHash('md5').update(content).digest('hex'), 4_500_000);
  await upload.start('v', [incoming('large.bin', content)]);
  assert.equal(entered.size, 1);
  assert.equal(upload.sent, 5_000_000);
  const first = asked.find(line => line.startsWith('PUT'));
  assert.match(first ?? '', /offset=4500000&size=5000000/);
});

test('a file that is refused does not take the others with it, and can be tried again', async t => {
  let refuse = true;
  const { upload, entered } = await uploading(t, path => refuse && path.endsWith('/objects'));
  await upload.start('v', [incoming('a', 'one'), incoming('b', 'two')]);
  assert.equal(upload.failed.length, 2);
  assert.equal(upload.failed[0]?.error, 'No.');
  refuse = false;
  await upload.retry();
  assert.deepEqual([...entered.keys()].sort(), ['a', 'b']);
  assert.equal(upload.failed.length, 0);
});

test('a canceled upload sends nothing more', async t => {
  const { upload, entered } = await uploading(t);
  const going = upload.start('v', [incoming('a', 'one'), incoming('b', 'x'.repeat(4_500_000))]);
  upload.cancel();
  await going;
  assert.ok(!upload.running);
  assert.ok(!entered.has('b'));
});
