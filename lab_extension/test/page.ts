import type { TranslationBundle } from '@jupyterlab/translation';

const BASE = 'http://127.0.0.1/';

/** A link, which is how JupyterLab takes addresses apart. */
class Link {
  constructor() {
    const parts = ['protocol', 'host', 'hostname', 'port', 'pathname', 'search', 'hash'] as const;
    for (const part of parts) {
      Object.defineProperty(this, part, { get: () => this._url[part] });
    }
  }

  get href(): string {
    return this._url.href;
  }

  set href(address: string) {
    this._url = new URL(address, BASE);
  }

  toString(): string {
    return this.href;
  }

  private _url = new URL(BASE);
}

/** The page as far as the models ask for it, since they run without one here. */
class Page extends EventTarget {
  hidden = false;
  readonly cookie = '';
  readonly body = { dataset: {} };
  readonly createElement = (): Link => new Link();
  readonly getElementById = (): null => null;
}

export const page = new Page();

Object.assign(globalThis, { window: globalThis, document: page, location: new URL(BASE) });

function filled(sentence: string, values: readonly unknown[]): string {
  return sentence.replace(/%(\d)/g, (_, place: string) => String(values[Number(place) - 1]));
}

/** English as it is written in the sources. */
export const english = {
  __: (sentence: string, ...values: unknown[]) => filled(sentence, values),
  _n: (one: string, many: string, n: number, ...values: unknown[]) =>
    filled(n === 1 ? one : many, [n, ...values])
} as unknown as TranslationBundle;
