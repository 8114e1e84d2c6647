import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ago, bytes, duration, initial, ticking } from '../src/ui/format';
import { english } from './page';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function all<T>(written: (value: T) => string, table: [T, string][]): void {
  assert.deepEqual(
    table.map(([value]) => [value, written(value)]),
    table
  );
}

test('a size has three digits, and never a thousand of a unit', () => {
  all(bytes, [
    [0, '0 B'],
    [1, '1 B'],
    [999, '999 B'],
    [1000, '1 kB'],
    [1234, '1.23 kB'],
    [12_345, '12.3 kB'],
    [99_960, '100 kB'],
    [999_499, '999 kB'],
    [999_500, '1 MB'],
    [1_500_000_000, '1.5 GB'],
    [7e15, '7000 TB']
  ]);
});

test('a duration never shows sixty seconds or sixty minutes', () => {
  all(duration, [
    [0, '0.00 s'],
    [0.034, '0.03 s'],
    [0.8, '0.8 s'],
    [9.94, '9.9 s'],
    [9.96, '10 s'],
    [59.4, '59 s'],
    [59.6, '1 min 00 s'],
    [364, '6 min 04 s'],
    [3599.6, '1 h 00 min'],
    [7500, '2 h 05 min'],
    [360_000, '100 h 00 min']
  ]);
});

test('a running clock counts whole seconds that have passed', () => {
  all(ticking, [
    [0, '0 s'],
    [0.99, '0 s'],
    [59.99, '59 s'],
    [60, '1 min 00 s'],
    [3599.99, '59 min 59 s']
  ]);
});

test('an age is said in its largest unit, and as a date after a week', () => {
  const now = new Date(2026, 5, 15, 12).getTime();
  all(
    (passed: number) => ago(now - passed, english, now),
    [
      [0, 'just now'],
      [MINUTE - 1, 'just now'],
      [MINUTE, '1 min ago'],
      [HOUR - 1, '59 min ago'],
      [HOUR, '1 h ago'],
      [DAY - 1, '23 h ago'],
      [DAY, 'yesterday'],
      [2 * DAY, '2 days ago'],
      [7 * DAY - 1, '6 days ago']
    ]
  );
  assert.match(ago(now - 7 * DAY, english, now), /8/);
  assert.doesNotMatch(ago(now - 7 * DAY, english, now), /2026/);
  assert.match(ago(now - 365 * DAY, english, now), /2025/);
});

test('a moment that another clock puts in the future is now', () => {
  assert.equal(ago(Date.now() + HOUR, english), 'just now');
});

test('a default that is not plain is shown as the notebook writes it', () => {
  const parameter = { name: 'n', type: 'any', help: '', choices: null, optional: false } as const;
  assert.equal(
    initial({ ...parameter, default: null, source: 'os.cpu_count()' }),
    'os.cpu_count()'
  );
  assert.equal(initial({ ...parameter, default: null, source: '' }), 'null');
  assert.equal(initial({ ...parameter, default: [1, 'a'], source: '[1, "a"]' }), '[1,"a"]');
  assert.equal(initial({ ...parameter, default: 'a', source: '"a"' }), 'a');
});
