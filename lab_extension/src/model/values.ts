import type { TranslationBundle } from '@jupyterlab/translation';
import type { Parameter } from '../generated/api';

/** What a field's text says: a value, or a sentence on why it says none. */
export type Parsed = { value: unknown } | { error: string };

/** How the field of a text that may be None says that it is an empty one. */
const EMPTY = '""';

const SAYS_NONE = ['', 'null', 'None'];

/** Write a parameter's value the way its field shows it; `parseField` reads it back. */
export function writeField(parameter: Parameter, value: unknown): string {
  const { type, choices, optional } = parameter;
  if (choices) {
    return JSON.stringify(value);
  }
  if (value === null || value === undefined) {
    return type === 'str' || type === 'none' ? '' : 'null';
  }
  if (typeof value !== 'string') {
    return JSON.stringify(value);
  }
  if (type === 'str') {
    return optional && !value ? EMPTY : value;
  }
  // A text that would be read as something else, such as "3", stands in quotes.
  const free = (type === 'any' || type === 'none') && !saysNone(parameter, value);
  return free && parseJson(value) === undefined ? value : JSON.stringify(value);
}

/** What a field shows before anyone changes it: the default, or nothing where that is not known. */
export function ownText(parameter: Parameter): string {
  const { default: value, type, optional } = parameter;
  return value === null && (!optional || type === 'any') ? '' : writeField(parameter, value);
}

/** What a field with choices offers, as its texts: None too where that is taken, and what it shows at first. */
export function choiceTexts(parameter: Parameter): string[] {
  const none = parameter.optional ? [null] : [];
  const texts = [...(parameter.choices ?? []), ...none].map(choice => JSON.stringify(choice));
  const own = ownText(parameter);
  return [...new Set(texts.includes(own) ? texts : [own, ...texts])];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether JSON holds a whole number that JavaScript would silently round, such as a 64-bit id. */
function rounds(text: string): boolean {
  const numbers = text.replace(/"(\\.|[^"\\])*"/g, '').match(/(?<![\d.])\d{16,}(?![\d.eE])/g);
  return numbers !== null && !numbers.every(number => Number.isSafeInteger(Number(number)));
}

function tooLarge(trans: TranslationBundle): Parsed {
  return {
    error: trans.__('The number is too large for a browser to send: it has at most 15 digits.')
  };
}

function parseList(text: string, trans: TranslationBundle): Parsed {
  const value = parseJson(text);
  return Array.isArray(value)
    ? { value }
    : { error: trans.__('A list in JSON is needed, such as [1, 2, 3] or ["a", "b"].') };
}

function parseDict(text: string, trans: TranslationBundle): Parsed {
  const value = parseJson(text);
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? { value }
    : { error: trans.__('A JSON object is needed, such as {"depth": 3}.') };
}

function parseNumber(text: string, whole: boolean, trans: TranslationBundle): Parsed {
  const trimmed = text.trim();
  if (whole) {
    if (!/^[+-]?\d+$/.test(trimmed)) {
      return { error: trans.__('A whole number is needed, such as 3.') };
    }
    const value = Number(trimmed);
    return Number.isSafeInteger(value) ? { value } : tooLarge(trans);
  }
  const value = Number(trimmed);
  return trimmed && Number.isFinite(value)
    ? { value }
    : { error: trans.__('A number is needed, such as 0.1 or 1e-3.') };
}

/** Read a field's text as a value of the parameter's type. */
export function parseField(parameter: Parameter, text: string, trans: TranslationBundle): Parsed {
  if (parameter.choices) {
    return { value: parseJson(text) };
  }
  if (parameter.optional && saysNone(parameter, text)) {
    return { value: null };
  }
  const parsed = parseText(parameter, text, trans);
  const inexact =
    parameter.type === 'float' || 'error' in parsed || typeof parsed.value === 'string';
  return inexact || !rounds(text) ? parsed : tooLarge(trans);
}

/** Whether a field's text is None: where it holds text, "None" is one like another. */
function saysNone(parameter: Parameter, text: string): boolean {
  return parameter.type === 'str' ? !text : SAYS_NONE.includes(text.trim());
}

function parseText(parameter: Parameter, text: string, trans: TranslationBundle): Parsed {
  switch (parameter.type) {
    case 'str':
      return { value: parameter.optional && text === EMPTY ? '' : text };
    case 'int':
      return parseNumber(text, true, trans);
    case 'float':
      return parseNumber(text, false, trans);
    case 'bool':
      return { value: text === 'true' };
    case 'list':
      return parseList(text, trans);
    case 'dict':
      return parseDict(text, trans);
    default: {
      const value = text.trim() ? parseJson(text) : null;
      return { value: value === undefined ? text : value };
    }
  }
}
