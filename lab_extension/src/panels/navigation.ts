import type { ISignal } from '@lumino/signaling';

/** A notebook that is open in this JupyterLab. */
export interface OpenNotebook {
  path: string;
  name: string;
  /** The kernel's status: idle, busy, starting, unknown, … */
  status: string;
  kernel: string;
}

/** Where the panels can take a person: commands of JupyterLab, as functions. */
export interface Navigation {
  openRun(id: string): void;
  openProject(id: string): void;
  rerun(id: string): void;
  openNotebook(path?: string): void;
  closeTab(): void;
  readonly notebooks: {
    readonly changed: ISignal<unknown, unknown>;
    list(): OpenNotebook[];
  };
}
