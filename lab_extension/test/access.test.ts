import { page } from './page';
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Change, Me, Project, Run, Team } from '../src/generated/api';
import { ProjectsModel } from '../src/model/projects';
import { RunModel } from '../src/model/run';
import { SharesModel } from '../src/model/shares';
import { TeamModel } from '../src/model/team';
import { english } from './page';
import { service, Told, until } from './service';

Object.assign(globalThis, {
  localStorage: { getItem: () => null, setItem: () => undefined, removeItem: () => undefined }
});

const IN = {
  user: 'ada',
  team: 't1',
  teams: { t1: 'ada', t2: 'research' },
  roles: { t1: 'owner', t2: 'owner' },
  lenders: {},
  mode: 'hub'
} as unknown as Me;
const OUT = { ...IN, teams: { t1: 'ada' }, roles: { t1: 'owner' } } as Me;
const LENT = { ...OUT, lenders: { t2: 'research' } } as Me;
const NONE = { items: [], cursor: null, total: 0 };

const PROJECT = { id: 'p2', team: 't2', name: 'p2', version: 1 } as Project;

/** A service that answers by who the caller is, and the models of a page in front of it. */
async function opened(t: TestContext, first: Me) {
  const world = { me: first, deleted: false };
  const run = { id: 'r1', team: 't2', project: 'p2', state: 'Running', version: 1 } as Run;
  const team = { id: 't2', name: 'research', owner: 'ada' } as Team;
  const { api, asked } = await service(t, path => {
    const { teams, lenders } = world.me;
    const seen = 't2' in teams || 't2' in lenders;
    switch (path) {
      case 'me':
        return world.me;
      case 'projects':
        return { ...NONE, items: seen ? [PROJECT] : [] };
      case 'runs/r1':
        return seen && !world.deleted ? run : null;
      case 'teams/t2':
        return 't2' in teams ? team : null;
      default:
        return seen ? NONE : null;
    }
  });
  const told = new Told();
  const projects = new ProjectsModel(api, told.stream, english);
  const become = async (me: Me): Promise<void> => {
    world.me = me;
    asked.length = 0;
    await told.tellAccess();
  };
  return { api, asked, told, projects, world, become };
}

async function openRun(t: TestContext, first: Me) {
  const made = await opened(t, first);
  const model = new RunModel('r1', made.api, made.told.stream, made.projects);
  t.after(() => model.dispose());
  await made.projects.load();
  await model.load();
  assert.deepEqual(made.told.followed, ['r1']);
  return { ...made, model };
}

test('the page of a run closes when its team is out of sight, asks for nothing, and goes on later', async t => {
  const { model, told, asked, become } = await openRun(t, IN);
  await become(OUT);
  assert.deepEqual(
    [model.lost, model.gone, model.closed, model.team],
    [true, false, true, 'research']
  );
  assert.deepEqual(told.followed, []);
  await become(OUT);
  told.resumed.emit();
  assert.ok(!asked.some(line => line.includes('r1')), asked.join());

  await become(IN);
  await until(() => !model.closed);
  assert.deepEqual(told.followed, ['r1']);
  assert.equal(model.error, null);
});

test('the page of a run closes when the share that showed it is taken back', async t => {
  const { model, told, become } = await openRun(t, LENT);
  await become(OUT);
  assert.deepEqual([model.lost, model.gone, model.team], [true, false, 'research']);
  assert.deepEqual(told.followed, []);
  await become(LENT);
  await until(() => told.followed.length === 1);
  assert.ok(!model.closed);
});

test('a run that is refused before the page hears of it is not taken for a deleted one', async t => {
  const { model, told, world } = await openRun(t, IN);
  world.me = OUT;
  told.changed.emit({ kind: 'run', id: 'r1' } as Change);
  await until(() => model.closed);
  assert.deepEqual([model.lost, model.gone, model.team], [true, false, 'research']);
});

test('a run that was deleted in sight is told of as deleted, and not followed', async t => {
  const { model, told, become, world } = await openRun(t, IN);
  world.deleted = true;
  await become(IN);
  await until(() => model.closed);
  assert.deepEqual([model.gone, model.lost], [true, false]);
  assert.deepEqual(told.followed, []);
});

test('the page of a team asks for no invitations in hub mode, and for nothing while it is lost', async t => {
  const { api, asked, told, projects, become } = await opened(t, IN);
  const model = new TeamModel('t2', api, told.stream, projects);
  t.after(() => model.dispose());
  await model.load();
  assert.equal(model.team?.name, 'research');
  assert.ok(model.manages);
  assert.ok(!asked.some(line => line.includes('invitations')), asked.join());

  await become(OUT);
  await until(() => model.lost);
  await model.refresh();
  assert.ok(!asked.some(line => line.includes('t2')), asked.join());

  await become(IN);
  await until(() => !model.lost);
});

test('the owner on a page of their own machine sees whom they invited', async t => {
  const { api, asked, told, projects } = await opened(t, { ...IN, mode: 'solo' } as Me);
  const model = new TeamModel('t2', api, told.stream, projects);
  t.after(() => model.dispose());
  await model.load();
  assert.ok(asked.some(line => line.startsWith('GET teams/t2/invitations')));
});

test('with whom a project is shared is not asked for while the project is out of sight', async t => {
  const { api, asked, told, projects, become } = await opened(t, IN);
  await projects.load();
  const model = new SharesModel('p2', api, told.stream, () => projects.sees(PROJECT.team));
  t.after(() => model.dispose());
  await become(OUT);
  assert.ok(!asked.some(line => line.includes('shares')), asked.join());
  await become(IN);
  await until(() => asked.some(line => line.includes('shares')));
  assert.ok(!page.hidden);
});
