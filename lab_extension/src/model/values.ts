import type { TranslationBundle } from '@jupyterlab/translation';
import type { Parameter } from '../generated/api';

/** What a field's text says: a value, or a sentence on why it says none. */
export type Parsed = { value: unknown } | { error: string };

/** Write a parameter's value the way its field shows it. */
export function writeField(parameter: Parameter, value: unknown): string {
  if (parameter.choices) {
    return JSON.stringify(value);
  }
  if (parameter.type === 'str' && typeof value === 'string') {
    return value;
  }
  if (value === null || value === undefined) {
    return parameter.type === 'any' || parameter.type === 'none' ? '' : 'null';
  }
  if (typeof value === 'string' && parameter.type === 'any') {
    return value;
  }
  return JSON.stringify(value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
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
    return Number.isSafeInteger(value)
      ? { value }
      : {
          error: trans.__(
            'The number is too large for a browser to send: it has at most 15 digits.'
          )
        };
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
  if (
    parameter.optional &&
    parameter.type !== 'str' &&
    ['', 'null', 'None'].includes(text.trim())
  ) {
    return { value: null };
  }
  switch (parameter.type) {
    case 'str':
      return { value: text };
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
