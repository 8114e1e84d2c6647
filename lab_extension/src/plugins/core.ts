import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ITranslator } from '@jupyterlab/translation';
import type { Core } from '../core';
import { INabla } from '../tokens';

/** Provides the models, which are loaded when the first panel opens. */
export const corePlugin: JupyterFrontEndPlugin<INabla> = {
  id: 'nabla-hub:core',
  description: 'Provides the models behind the panels.',
  autoStart: true,
  provides: INabla,
  requires: [ITranslator],
  activate: (app, translator: ITranslator) => {
    let core: Promise<Core> | null = null;
    return {
      core: () => {
        core ??= import('../core').then(
          ({ Core }) => new Core(app.serviceManager.kernelspecs, translator.load('nabla_hub'))
        );
        return core;
      }
    };
  }
};
