import './page';
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { ServerConnection, type KernelSpec } from '@jupyterlab/services';
import { Api } from '../src/api/client';
import type { Parameter } from '../src/generated/api';
import { FormModel } from '../src/model/form';
import type { ProjectsModel } from '../src/model/projects';
import { english } from './page';

const bare = { source: '', help: '', choices: null, optional: false };
const PARAMETERS: Parameter[] = [
  { ...bare, name: 'n', type: 'int', default: 3 },
  { ...bare, name: 'label', type: 'str', default: 'a', optional: true },
  { ...bare, name: 'workers', type: 'any', default: null, source: 'os.cpu_count()' }
];

/** The form for a run that had `given`, and what it sent when it was submitted. */
async function rerun(
  t: TestContext,
  given: Record<string, unknown>,
  known: Parameter[] | null = PARAMETERS
): Promise<{ form: FormModel; sent: () => Promise<unknown> }> {
  let body: unknown;
  const spec = { notebook: 'n.ipynb', instance: 'C1', kernel: '', parameters: given };
  const answers: Record<string, unknown> = {
    'runs/r1': { id: 'r1', name: 'n', spec, project: 'p1', snapshot: null },
    'runs/r1/notebook': {},
    'notebooks/inspect': known && { parameters: known, kernel: '' },
    instances: { offers: [] },
    'runs/r1/rerun': { id: 'r2' }
  };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://service/');
    const answer = answers[pathname.replace('/nabla/api/v1/', '')];
    let text = '';
    request.on('data', piece => (text += String(piece)));
    request.on('end', () => {
      body = text ? (JSON.parse(text) as { parameters?: unknown }).parameters : body;
      response.writeHead(answer ? 200 : 404).end(JSON.stringify(answer ?? { message: 'No.' }));
    });
  });
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const api = new Api(ServerConnection.makeSettings({ baseUrl, fetch, Request, Headers }));
  const projects = { load: () => Promise.resolve(), currentId: null } as unknown as ProjectsModel;
  const kernels = { ready: Promise.resolve() } as unknown as KernelSpec.IManager;
  const form = new FormModel({ rerun: 'r1' }, api, projects, kernels, english);
  await form.load();
  assert.equal(form.error, null);
  const sent = async (): Promise<unknown> => {
    assert.ok(await form.submit(), form.error ?? 'not sent');
    return body;
  };
  return { form, sent };
}

test('a run that is run again keeps the values that it was given, None and all', async t => {
  const given = { n: 5, label: null, workers: null };
  const { sent } = await rerun(t, given);
  assert.deepEqual(await sent(), given);
});

test('a value that looks like another type stays what it was', async t => {
  const given = { workers: '3' };
  const { sent } = await rerun(t, given);
  assert.deepEqual(await sent(), given);
});

test('values of a notebook that cannot be read are kept', async t => {
  const given = { n: 5, label: '', which: null, name: 'null' };
  const { form, sent } = await rerun(t, given, null);
  assert.deepEqual(
    form.fields.map(({ text }) => text),
    ['5', '""', 'null', '"null"']
  );
  assert.deepEqual(await sent(), given);
});

test('what is not changed is left to the notebook, and what is put back is again', async t => {
  const { form, sent } = await rerun(t, { n: 5 });
  const [n] = form.fields;
  assert.ok(n?.changed);
  form.reset(n);
  assert.ok(!n.changed);
  assert.deepEqual(await sent(), {});
});

test('a wrong value keeps the run from being sent', async t => {
  const { form } = await rerun(t, {});
  const [n] = form.fields;
  assert.ok(n);
  form.set(n, 'many');
  assert.ok(!form.valid);
  assert.match(n.error ?? '', /whole number/);
  assert.equal(await form.submit(), null);
});

test('variables are sent by name; a wrong or a second name keeps the run from being sent', async t => {
  const { form, sent } = await rerun(t, {});
  form.setVariable(0, { name: '2nd', value: 'x' });
  assert.ok(!form.valid);
  form.setVariable(0, { name: 'TOKEN', value: 'secret:TOKEN' });
  form.setVariable(1, { name: 'TOKEN', value: 'y' });
  assert.ok(!form.valid);
  form.setVariable(1, { name: '', value: '' });
  assert.ok(form.valid);
  await sent();
  assert.deepEqual(form.env[0], { name: 'TOKEN', value: 'secret:TOKEN' });
  form.setVariable(0, null);
  assert.equal(form.env.length, 1);
});
