import { page } from './page';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Activity, Found, Me, Project, Run } from '../src/generated/api';
import { cut } from '../src/model/activity';
import { PagedList } from '../src/model/paged';
import { groupProjects, ProjectsModel } from '../src/model/projects';
import { activeFirst } from '../src/model/runs';
import { groupFound, parseSearch, SearchModel } from '../src/model/search';
import { english } from './page';
import { service, Told } from './service';

const kept = new Map<string, string>();
Object.assign(globalThis, {
  localStorage: {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key)
  }
});

const ME = {
  user: 'ada',
  team: 't1',
  teams: { t1: 'ada', t2: 'research', t3: 'arts' },
  roles: { t1: 'owner', t2: 'member', t3: 'viewer' },
  lenders: { t9: 'production' }
} as unknown as Me;

function project(id: string, team: string): Project {
  return { id, team, name: id, version: 1 } as Project;
}

function found(id: string, kind: string): Found {
  return { id, kind, name: id, team: 't1', project: null, state: '', tags: [], updated: '' };
}

test('projects are grouped by team: mine first, then teams by name, then what is lent', () => {
  const groups = groupProjects([project('p9', 't9'), project('p2', 't2'), project('p1', 't1')], ME);
  assert.deepEqual(
    groups.map(({ name, kind, role, projects }) => [name, kind, role, projects.length]),
    [
      ['ada', 'private', 'owner', 1],
      ['arts', 'team', 'viewer', 0],
      ['research', 'team', 'member', 1],
      ['production', 'shared', null, 1]
    ]
  );
});

test('a word with a hash asks for a tag, the others for words', () => {
  assert.deepEqual(parseSearch('  train #weekly  #big runs '), {
    q: 'train runs',
    tags: ['weekly', 'big']
  });
  assert.deepEqual(parseSearch('#'), { q: '', tags: [] });
});

test('what is found is grouped by kind, and an exact id comes before all else', () => {
  const items = [
    found('r2', 'run'),
    found('p1', 'project'),
    found('s1', 'snapshot'),
    found('s2', 'snapshot')
  ];
  assert.deepEqual(
    groupFound(items, 'x').map(({ kind }) => kind),
    ['project', 'run', 'snapshot']
  );
  const [first] = groupFound(items, ' s2 ');
  assert.equal(first?.kind, 'snapshot');
  assert.equal(first?.items[0]?.id, 's2');
});

test('a sentence of the feed is cut at the name that it speaks of', () => {
  const activity = { text: 'renamed the project a to b', name: 'project a' } as Activity;
  assert.deepEqual(cut(activity), { before: 'renamed the ', name: 'project a', after: ' to b' });
  assert.deepEqual(cut({ text: 'signed in', name: 'gone' }), {
    before: 'signed in',
    name: '',
    after: ''
  });
});

test('what is active stands above newer runs that have ended', () => {
  const run = (id: string, state: string, created: string, version = 1): Run =>
    ({ id, state, created, version }) as Run;
  const all = [run('r3', 'Succeeded', '3'), run('r2', 'Running', '2')];
  const active = [run('r2', 'Running', '2'), run('r1', 'Pending', '1')];
  assert.deepEqual(
    activeFirst(active, all).map(({ id }) => id),
    ['r2', 'r1', 'r3']
  );
  const ended = [run('r3', 'Succeeded', '3'), run('r2', 'Failed', '2', 5)];
  assert.deepEqual(
    activeFirst(active, ended).map(({ id }) => id),
    ['r1', 'r3', 'r2'],
    'a run that has ended since is where it belongs'
  );
});

test('a list that is asked again drops what went out of sight, on every page that was shown', async () => {
  let rows = Array.from({ length: 25 }, (_, index) => ({ id: `x${index}` }));
  const list = new PagedList<{ id: string }>((cursor, limit) => {
    const from = Number(cursor ?? 0);
    const items = rows.slice(from, from + limit);
    const next = from + limit < rows.length ? String(from + limit) : null;
    return Promise.resolve({ items, cursor: next, total: rows.length });
  }, 10);
  await list.refresh();
  await list.more();
  assert.equal(list.items.length, 20);
  rows = rows.filter(({ id }) => id !== 'x15');
  await list.reload();
  assert.equal(list.items.length, 20);
  assert.ok(!list.items.some(({ id }) => id === 'x15'));
  await list.more();
  assert.equal(list.items.length, 24);
});

test('who is taken out of a team sees its projects go, and is told', async t => {
  let me: Me = ME;
  let projects = [project('p2', 't2'), project('p1', 't1')];
  const { api, asked } = await service(t, path =>
    path === 'me' ? me : path === 'projects' ? { items: projects, cursor: null, total: null } : null
  );
  const told = new Told();
  const model = new ProjectsModel(api, told.stream, english);
  await model.load();
  model.select(projects[0] ?? null);
  assert.equal(model.current?.id, 'p2');
  assert.equal(kept.get('nabla-hub:project'), 'p2');

  me = { ...ME, teams: { t1: 'ada', t3: 'arts' } };
  projects = [project('p1', 't1')];
  await told.tellAccess();
  assert.match(model.notice ?? '', /“research”/);
  assert.deepEqual(
    model.items.map(({ id }) => id),
    ['p1']
  );
  assert.equal(model.currentId, null);
  assert.equal(kept.get('nabla-hub:project'), undefined);
  assert.ok(!asked.some(line => line.startsWith('GET projects/')), 'what is lost is not asked for');

  me = ME;
  await told.tellAccess();
  assert.equal(model.notice, null, 'who is in again is told nothing else');
});

test('a project beyond the pages that were fetched is found by its name and then kept', async t => {
  const { api } = await service(t, (path, query) => {
    if (path === 'me') {
      return ME;
    }
    const items = query.get('q') ? [project('p777', 't2')] : [project('p1', 't1')];
    return { items, cursor: query.get('q') ? null : 'next', total: null };
  });
  const model = new ProjectsModel(api, new Told().stream, english);
  await model.load();
  assert.ok(model.more);
  const [hit] = await model.search('p777');
  assert.ok(hit);
  model.remember(hit);
  assert.ok(model.items.some(({ id }) => id === 'p777'));
});

test('of what is typed quickly only the last is asked for, and Enter waits for its answer', async t => {
  const { api, asked } = await service(t, (_, query) => ({
    items: [found(`p-${query.get('q')}`, 'project')],
    cursor: null,
    total: null
  }));
  const search = new SearchModel(api);
  search.set('d');
  search.set('di');
  search.set('dig #weekly');
  const first = await search.first();
  assert.equal(first?.id, 'p-dig');
  assert.deepEqual(asked, ['GET search?q=dig&tag=weekly&limit=50']);
  search.set('');
  assert.deepEqual(search.groups, []);
  assert.ok(!page.hidden);
});

test('an answer to an earlier question never replaces that to a later one', async t => {
  let release = (): void => undefined;
  const late = new Promise<void>(done => (release = done));
  const { api } = await service(t, async (_, query) => {
    const q = query.get('q') ?? '';
    if (q === 'slow') {
      await late;
    }
    return { items: [found(q, 'run')], cursor: null, total: null };
  });
  const search = new SearchModel(api);
  search.set('slow');
  const slow = search.first();
  search.set('fast');
  assert.equal((await search.first())?.id, 'fast');
  release();
  await slow;
  assert.deepEqual(
    search.items.map(({ id }) => id),
    ['fast']
  );
});
