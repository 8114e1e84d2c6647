import './page';
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { KernelSpec } from '@jupyterlab/services';
import type { NewRun } from '../src/generated/api';
import { FormModel } from '../src/model/form';
import { ProjectsModel } from '../src/model/projects';
import { suggestedName, type DataPlace, type DataRow } from '../src/model/run-data';
import { into } from '../src/model/upload';
import { english } from './page';
import { Refusal, service, Told } from './service';

Object.assign(globalThis, { localStorage: { getItem: () => null, removeItem: () => undefined } });

const ME = {
  user: 'ada',
  team: 't1',
  teams: { t1: 'ada', t2: 'research' },
  roles: {},
  lenders: {}
};
const HAD = {
  id: 'r1',
  name: 'n',
  project: 'p1',
  snapshot: null,
  inputs: { digits: 'ds1:fo5rp4m' },
  spec: {
    notebook: 'n.ipynb',
    instance: 'C1',
    kernel: '',
    parameters: {},
    inputs: { digits: 'digits:latest' },
    outputs: { model: 'digits-model' }
  }
};
const DIGITS = {
  name: 'digits',
  team: 't1',
  size: 9,
  latest: 'fo5rp4m',
  version_tags: { v1: 'abc1234' }
};

/** The form of a run that read and made data, what it sent, and what the service was asked. */
async function again(t: TestContext, answer: () => unknown = () => ({ id: 'r2' })) {
  const sent: Partial<NewRun>[] = [];
  const { api, asked } = await service(t, (path, _, body) => {
    switch (path) {
      case 'me':
        return ME;
      case 'projects':
        return { items: [{ id: 'p1', team: 't1', name: 'p1' }], cursor: null };
      case 'runs/r1':
        return HAD;
      case 'instances':
        return { offers: [] };
      case 'datasets':
        return {
          items: [DIGITS, { name: 'drafts', team: 't1', latest: '' }, { ...DIGITS, team: 't2' }],
          cursor: null
        };
      case 'datasets/digits':
        return DIGITS;
      case 'public-datasets':
        return { items: [{ name: 'digits', title: 'Digits', size: 0 }], cursor: null };
      case 'runs/r1/rerun':
        sent.push(JSON.parse(body) as NewRun);
        return answer();
      default:
        return null;
    }
  });
  const projects = new ProjectsModel(api, new Told().stream, english);
  const kernels = { ready: Promise.resolve() } as unknown as KernelSpec.IManager;
  const form = new FormModel({ rerun: 'r1' }, api, projects, kernels, english);
  await form.load();
  assert.equal(form.error, null);
  const row = (place: DataPlace, at = 0): DataRow => {
    const found = form.data.of(place).at(at);
    assert.ok(found);
    return found;
  };
  return { form, data: form.data, row, sent, asked };
}

test('a run that is run again reads the very versions that it read, and makes the same', async t => {
  const { form, row, sent } = await again(t);
  assert.equal(row('inputs').asked, 'digits:latest');
  assert.ok(await form.submit(), form.error ?? '');
  assert.deepEqual(sent[0]?.inputs, { digits: 'ds1:fo5rp4m' });
  assert.deepEqual(sent[0]?.outputs, { model: 'digits-model' });
});

test('what is left out is not sent, and neither is a row in which nothing stands', async t => {
  const { form, data, row, sent } = await again(t);
  data.remove(row('inputs'));
  data.add('inputs');
  assert.ok(form.valid);
  await form.submit();
  assert.deepEqual(sent[0]?.inputs, {});
});

test('a name follows the dataset until somebody writes one, and is never taken twice', async t => {
  const { data, row } = await again(t);
  data.add('inputs');
  data.setRef(row('inputs', 1), 'research/digits:v1');
  assert.equal(row('inputs', 1).name, 'digits-2');
  data.setName(row('inputs', 1), 'test');
  data.setRef(row('inputs', 1), 'public/iris:latest');
  assert.equal(row('inputs', 1).name, 'test');
  assert.deepEqual(data.written('inputs'), { digits: 'ds1:fo5rp4m', test: 'public/iris:latest' });
});

test('a name is that of a folder, whatever the dataset is called', () => {
  assert.equal(suggestedName('research/Hand written (8 x 8):latest'), 'Hand-written-8-x-8-');
  assert.equal(suggestedName('ds1:fo5rp4m'), 'ds1');
  assert.equal(suggestedName('..'), '');
  assert.equal(suggestedName('a'.repeat(200)).length, 100);
});

test('names and references that the service refuses keep the run from being sent', async t => {
  const { form, data, row } = await again(t);
  for (const name of ['a/b', '..', 'ö', '', 'x'.repeat(101)]) {
    data.setName(row('inputs'), name);
    assert.ok(data.nameError(row('inputs')), name);
  }
  data.setName(row('inputs'), 'good-1.0_b');
  assert.ok(form.valid);
  data.setRef(row('inputs'), '  ');
  assert.ok(!form.valid);
  data.setRef(row('inputs'), 'digits');
  data.setRef(row('outputs'), 'digits:v2');
  assert.match(data.refError(row('outputs')) ?? '', /new version/);
  assert.equal(await form.submit(), null);
});

test('a refusal of the service stands at its row until that changes, or it is asked again', async t => {
  const answers: unknown[] = [1, 2].map(
    () => new Refusal('inputs.digits: There is no dataset "digit".', 'inputs.digits')
  );
  const { form, data, row } = await again(t, () => answers.shift() ?? { id: 'r2' });
  assert.equal(await form.submit(), null);
  assert.equal(form.error, null);
  assert.equal(data.refError(row('inputs')), 'There is no dataset "digit".');
  data.setRef(row('inputs'), 'digits');
  assert.ok(!data.refused);
  assert.equal(await form.submit(), null);
  assert.ok(data.refused);
  assert.ok(form.valid, 'it may have been made meanwhile');
  assert.ok(await form.submit());
});

test('offers are versions of the team and public ones to read, and datasets to write to', async t => {
  const { form, asked } = await again(t);
  const refs = async (place: DataPlace, text: string): Promise<string[]> =>
    (await form.offers(place, text)).map(({ ref }) => ref);
  assert.ok(!asked.some(line => line.includes('datasets')), 'asked before anybody wanted them');
  assert.deepEqual(await refs('inputs', 'dig'), [
    'digits:latest',
    'research/digits:latest',
    'public/digits:latest'
  ]);
  assert.ok(asked.includes('GET datasets?q=dig&team=t1&limit=8'), asked.join('\n'));
  assert.deepEqual(await refs('outputs', ''), ['digits', 'drafts', 'research/digits']);
  assert.deepEqual(await refs('inputs', 'digits:'), ['digits:latest', 'digits:v1']);
  assert.deepEqual(await refs('inputs', 'digits:v'), ['digits:v1']);
});

test('files that are dropped onto a folder go into it', () => {
  const file = new File(['x'], 'x.txt');
  const paths = (folder: string): string[] =>
    into(folder, [{ path: 'deep/x.txt', file }]).map(({ path }) => path);
  assert.deepEqual(paths('tables/raw'), ['tables/raw/deep/x.txt']);
  assert.deepEqual(paths(''), ['deep/x.txt']);
});
