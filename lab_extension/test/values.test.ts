import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Parameter } from '../src/generated/api';
import { choiceTexts, ownText, parseField, writeField } from '../src/model/values';
import { english } from './page';

function parameter(type: Parameter['type'], more: Partial<Parameter> = {}): Parameter {
  const none = { default: null, source: '', help: '', choices: null, optional: false };
  return { name: 'p', type, ...none, ...more };
}

const optional = { optional: true };

function parse(of: Parameter, text: string): unknown {
  const parsed = parseField(of, text, english);
  return 'error' in parsed ? new Error(parsed.error) : parsed.value;
}

test('what a field shows of a value is read back as that value', () => {
  const table: [Parameter, unknown[]][] = [
    [parameter('str'), ['', 'a', ' a ', 'null', 'None', '3', '"a"', 'two\nlines']],
    [parameter('str', optional), [null, '', ' ', 'a', 'null', 'None', '3']],
    [parameter('int'), [0, -3, Number.MAX_SAFE_INTEGER]],
    [parameter('int', optional), [null, 3]],
    [parameter('float'), [0, 0.1, -2.5e-7, 1e300]],
    [parameter('bool', optional), [true, false, null]],
    [parameter('list'), [[], [1, 'a', null, [2]]]],
    [parameter('dict', optional), [{}, { a: { b: [1] } }, null]],
    [parameter('any', optional), [null, '', ' ', 'a', '3', 'null', 'None', '"', '{', 3, true, [1]]],
    [parameter('none', optional), [null, '', 'a', '3', 3, [1]]],
    [parameter('any', { choices: ['1', 1, true, null] }), ['1', 1, true, null]]
  ];
  for (const [of, values] of table) {
    for (const value of values) {
      const text = writeField(of, value);
      assert.deepEqual(parse(of, text), value, `${of.type} ${JSON.stringify(value)} as ${text}`);
    }
  }
});

test('a text that is no value of the type is answered with what one looks like', () => {
  const table: [Parameter, string, RegExp][] = [
    [parameter('int'), '', /whole number is needed, such as 3/],
    [parameter('int'), '1.5', /whole number/],
    [parameter('int'), '1_000', /whole number/],
    [parameter('int'), '9007199254740993', /too large/],
    [parameter('int'), 'null', /whole number/],
    [parameter('float'), '', /number is needed, such as 0\.1/],
    [parameter('float'), '1,5', /number is needed/],
    [parameter('float'), 'inf', /number is needed/],
    [parameter('float'), 'NaN', /number is needed/],
    [parameter('list'), '', /list in JSON/],
    [parameter('list'), '1, 2', /list in JSON/],
    [parameter('list'), "['a']", /list in JSON/],
    [parameter('list'), '{}', /list in JSON/],
    [parameter('dict'), '[]', /JSON object/],
    [parameter('dict'), 'null', /JSON object/],
    [parameter('dict'), '{"a": 1,}', /JSON object/]
  ];
  for (const [of, text, sentence] of table) {
    const answer = parse(of, text);
    assert.ok(answer instanceof Error, `${of.type} took ${text}`);
    assert.match(answer.message, sentence);
  }
});

test('a whole number that JavaScript would round is refused wherever it stands', () => {
  const id = '1152921504606846977';
  for (const [type, text] of [
    ['list', `[1, ${id}]`],
    ['dict', `{"id": -${id}}`],
    ['any', id]
  ] as const) {
    assert.match(String(parse(parameter(type), text)), /too large/);
  }
  assert.deepEqual(parse(parameter('list'), `["${id}", "\\"${id}"]`), [id, `"${id}`]);
  assert.deepEqual(parse(parameter('list'), '[0.12345678901234567]'), [0.12345678901234567]);
  assert.deepEqual(parse(parameter('list'), '[1234567890123456e3]'), [1234567890123456e3]);
  assert.equal(parse(parameter('any'), `run ${id}`), `run ${id}`);
  assert.equal(parse(parameter('float'), '12345678901234567'), 12345678901234567);
});

test('spaces around a number do not count', () => {
  assert.equal(parse(parameter('int'), ' +7 '), 7);
  assert.equal(parse(parameter('float'), ' 1e-3\n'), 0.001);
});

test('None is said by an empty field, and in words where text cannot be meant', () => {
  for (const type of ['int', 'float', 'bool', 'list', 'dict', 'any'] as const) {
    for (const text of ['', ' ', 'null', 'None']) {
      assert.equal(parse(parameter(type, optional), text), null, `${type} ${text}`);
    }
  }
  assert.equal(parse(parameter('str', optional), ''), null);
  assert.equal(parse(parameter('str', optional), '""'), '');
  assert.equal(parse(parameter('str', optional), 'None'), 'None');
  assert.equal(parse(parameter('str'), '""'), '""');
});

test('a field whose default is not known shows nothing', () => {
  assert.equal(ownText(parameter('int')), '');
  assert.equal(ownText(parameter('str')), '');
  assert.equal(ownText(parameter('any', optional)), '');
  assert.equal(ownText(parameter('int', optional)), 'null');
  assert.equal(ownText(parameter('int', { default: 3 })), '3');
  assert.equal(ownText(parameter('bool', { default: false })), 'false');
});

test('a choice offers None where that is taken, and shows a default that is not among the choices', () => {
  const choices = ['a', 'b'];
  assert.deepEqual(choiceTexts(parameter('str', { choices, default: 'b' })), ['"a"', '"b"']);
  assert.deepEqual(choiceTexts(parameter('str', { choices })), ['', '"a"', '"b"']);
  assert.deepEqual(choiceTexts(parameter('str', { choices, ...optional })), ['"a"', '"b"', 'null']);
  assert.deepEqual(choiceTexts(parameter('str', { choices, default: 'c' })), ['"c"', '"a"', '"b"']);
});
