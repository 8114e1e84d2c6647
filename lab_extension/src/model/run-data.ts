import type { TranslationBundle } from '@jupyterlab/translation';
import type { DatasetRoutes } from '../api/datasets';
import type { Page, Run } from '../generated/api';
import type { ProjectsModel } from './projects';

/** The folder that a run finds something in. */
export type DataPlace = 'inputs' | 'outputs';

/** A dataset of a run, and under which name the run finds it. */
export interface DataRow {
  place: DataPlace;
  name: string;
  /** What is read, such as `digits:latest`; or the dataset that gets what is written. */
  ref: string;
  /** Whether the name was written by hand; else it follows the reference. */
  named: boolean;
  /** What the run that is run again was asked for, where its own word was another. */
  asked: string;
  /** What the service says against it. */
  error: string | null;
}

/** A reference to choose. */
export interface DataOffer {
  ref: string;
  /** Bytes; null: not known, or not worth telling. */
  size: number | null;
  about: string;
}

/** As many as the service takes in each place. */
export const MOST_DATA = 100;
const OFFERS = 8;
const PLACES: readonly DataPlace[] = ['inputs', 'outputs'];

/** The dataset of a reference, and its version if one is written. */
function taken(ref: string): [dataset: string, version: string | undefined] {
  const text = ref.trim();
  const colon = text.lastIndexOf(':');
  return colon < 0 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
}

/** The name that a reference suggests: that of its dataset, as far as a folder may be called so. */
export function suggestedName(ref: string): string {
  const dataset = taken(ref)[0].split('/').pop() ?? '';
  const name = dataset.replace(/[^A-Za-z0-9_.-]+/g, '-');
  return /^\.{0,2}$/.test(name) ? '' : name.slice(0, 100);
}

/** The versions that a run shall read, and the datasets that shall get what it leaves. */
export class RunData {
  constructor(
    private readonly _routes: DatasetRoutes,
    private readonly _projects: ProjectsModel,
    private readonly _trans: TranslationBundle,
    private readonly _changed: () => void
  ) {}

  rows: readonly DataRow[] = [];

  of(place: DataPlace): readonly DataRow[] {
    return this.rows.filter(row => row.place === place);
  }

  /** Whether it may be sent; what the service refused may be right by now. */
  get valid(): boolean {
    return this.rows.every(row => !this.nameError(row) && !this.refError({ ...row, error: null }));
  }

  /** Whether the service refused some of it. */
  get refused(): boolean {
    return this.rows.some(({ error }) => error !== null);
  }

  add(place: DataPlace): void {
    const row = { place, name: '', ref: '', named: false, asked: '', error: null };
    this._set([...this.rows, row]);
  }

  remove(row: DataRow): void {
    this._set(this.rows.filter(other => other !== row));
  }

  /** Change what is read or written; the name follows as long as nobody wrote one. */
  setRef(row: DataRow, ref: string): void {
    const name = row.named ? row.name : this._free(row, suggestedName(ref));
    this._replace(row, { ...row, ref, name, asked: '', error: null });
  }

  setName(row: DataRow, name: string): void {
    this._replace(row, { ...row, name, named: true, error: null });
  }

  /** Say what is wrong with a name, if anything, as the service would. */
  nameError({ place, name, ref }: DataRow): string | null {
    if (!name) {
      return ref.trim() ? this._trans.__('Give it a name: that of its folder.') : null;
    }
    if (!/^[A-Za-z0-9_.-]{1,100}$/.test(name) || name === '.' || name === '..') {
      return this._trans.__('Up to 100 letters, digits, “_”, “.” and “-” make a name.');
    }
    return this.of(place).filter(other => other.name === name).length > 1
      ? this._trans.__('There is a folder of this name already.')
      : null;
  }

  /** Say what is wrong with a reference, if anything; a row of which nothing is written is not sent. */
  refError({ place, name, ref, error }: DataRow): string | null {
    const text = ref.trim();
    if (!text) {
      return name ? this._trans.__('Name a dataset.') : null;
    }
    if (text.length > 400) {
      return this._trans.__('That is too long.');
    }
    if (place === 'outputs' && text.includes(':')) {
      return this._trans.__('A run makes a new version: name only the dataset.');
    }
    return error;
  }

  /** What is sent: references by name. */
  written(place: DataPlace): Record<string, string> {
    const named = this.of(place).filter(({ name }) => name);
    return Object.fromEntries(named.map(({ name, ref }) => [name, ref.trim()]));
  }

  /** Begin as a run had it: with the very versions that it read. */
  recall({ spec, inputs }: Run): void {
    const row = (place: DataPlace, name: string, ref: string, asked: string): DataRow => ({
      place,
      name,
      ref,
      named: true,
      asked: asked === ref ? '' : asked,
      error: null
    });
    this.rows = [
      ...Object.entries(spec.inputs ?? {}).map(([name, asked]) =>
        row('inputs', name, inputs?.[name] ?? asked, asked)
      ),
      ...Object.entries(spec.outputs ?? {}).map(([name, ref]) => row('outputs', name, ref, ref))
    ];
  }

  /** Forget what the service refused: it is asked again. */
  forgive(): void {
    this._set(this.rows.map(row => ({ ...row, error: null })));
  }

  /** Show an error of the service where it belongs (`inputs.digits`); false: it is not about data. */
  blame(field: string, message: string): boolean {
    for (const place of PLACES) {
      const rows = this.of(place).filter(
        ({ name }) => field === `${place}.${name}` || field.startsWith(`${place}.${name}.`)
      );
      // A name may have dots in it: the longest is meant.
      const [found] = rows.sort((one, other) => other.name.length - one.name.length);
      if (found) {
        const sentence = message.replace(`${place}.${found.name}: `, '');
        this._replace(found, { ...found, error: sentence });
        return true;
      }
    }
    return false;
  }

  /** What may be meant by `text`: datasets of the team, versions of one, and for reading what is public. */
  async offers(place: DataPlace, text: string, team: string | null): Promise<DataOffer[]> {
    const [q, version] = taken(text);
    if (version !== undefined) {
      return place === 'inputs' && q ? this._versions(q, version) : [];
    }
    const asked = <T>(page: Promise<Page<T>>): Promise<T[]> =>
      page.then(
        ({ items }) => items,
        () => []
      );
    const [own, everybodys] = await Promise.all([
      asked(this._routes.list({ q: q.split('/').pop() ?? '', team, limit: OFFERS })),
      place === 'inputs'
        ? asked(this._routes.catalogue({ q: q.replace(/^public\/?/, ''), limit: OFFERS }))
        : []
    ]);
    const named = own.filter(({ latest }) => place === 'outputs' || latest);
    // A bare name means one's own first, wherever the run will be.
    const mine = named.map(({ name, size, description, team: of, latest }) => ({
      ref:
        (of === this._projects.me?.team ? '' : `${this._projects.teamName({ team: of })}/`) + name,
      size: latest ? size : null,
      about: description
    }));
    const others = everybodys.map(({ name, title, size }) => ({
      ref: `public/${name}`,
      size: size || null,
      about: title
    }));
    return [...mine, ...others]
      .slice(0, OFFERS)
      .map(offer => (place === 'inputs' ? { ...offer, ref: `${offer.ref}:latest` } : offer));
  }

  /** The newest version and the tags of a dataset. */
  private async _versions(name: string, begin: string): Promise<DataOffer[]> {
    const found = await this._routes.get(name);
    const tags = Object.keys(found.version_tags).reverse();
    return (found.latest ? ['latest', ...tags] : tags)
      .filter(tag => tag.startsWith(begin))
      .slice(0, OFFERS)
      .map(tag => ({
        ref: `${name}:${tag}`,
        size: tag === 'latest' ? found.size : null,
        about: tag === 'latest' ? found.latest : String(found.version_tags[tag])
      }));
  }

  private _free(row: DataRow, wanted: string): string {
    const others = new Set(this.of(row.place).flatMap(other => (other === row ? [] : other.name)));
    let name = wanted;
    for (let next = 2; name && others.has(name); next++) {
      name = `${wanted}-${next}`;
    }
    return name;
  }

  private _replace(row: DataRow, changed: DataRow): void {
    this._set(this.rows.map(other => (other === row ? changed : other)));
  }

  private _set(rows: readonly DataRow[]): void {
    this.rows = rows;
    this._changed();
  }
}
