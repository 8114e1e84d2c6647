import type { ISignal } from '@lumino/signaling';

/** A notebook that is open in this JupyterLab. */
export interface OpenNotebook {
  path: string;
  name: string;
  /** The kernel's status: idle, busy, starting, unknown, … */
  status: string;
  kernel: string;
}

/** Something that may have a tab of its own: a row of the search, or what a sentence speaks of. */
export interface Thing {
  kind: string;
  id: string;
  project: string | null;
}

/** Where the panels can take a person: commands of JupyterLab, as functions. */
export interface Navigation {
  openRun(id: string): void;
  openProject(id: string): void;
  openTeam(id: string): void;
  /** Open a dataset: `ds…`, or `ds…:version` to show one of its versions. */
  openDataset(id: string): void;
  openCatalogue(): void;
  /** Open what a thing is seen in; false where nothing of it can be seen. */
  open(thing: Thing): boolean;
  rerun(id: string): void;
  openNotebook(path?: string): void;
  closeTab(): void;
  readonly notebooks: {
    readonly changed: ISignal<unknown, unknown>;
    list(): OpenNotebook[];
  };
}

const OPEN = new Set(['run', 'project', 'team', 'dataset', 'dataset version']);

/** Whether `Navigation.open` leads anywhere. */
export function canOpen({ kind, project }: Thing): boolean {
  return OPEN.has(kind) || project !== null;
}
