import { Token } from '@lumino/coreutils';
import type { Core } from './core';

/** What a person, or another extension, can make Nabla do. */
export const CommandIDs = {
  showSidebar: 'nabla:show-sidebar',
  search: 'nabla:search',
  openProject: 'nabla:open-project',
  openTeam: 'nabla:open-team',
  openRun: 'nabla:open-run',
  openDataset: 'nabla:open-dataset',
  openCatalogue: 'nabla:public-datasets',
  newDataset: 'nabla:new-dataset',
  openForm: 'nabla:open-run-form',
  share: 'nabla:share',
  runNotebook: 'nabla:run-notebook',
  shareNotebook: 'nabla:share-notebook',
  runFile: 'nabla:run-file',
  openNotebook: 'nabla:open-notebook'
} as const;

/** What every panel of Nabla shares. */
export interface INabla {
  /** Load the models, once; nothing of them is fetched before a panel needs them. */
  core(): Promise<Core>;
}

export const INabla = new Token<INabla>(
  'nabla-hub:INabla',
  "The models behind Nabla's panels: projects, runs, and the page's one event stream."
);
