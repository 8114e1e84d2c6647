import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ITranslator } from '@jupyterlab/translation';
import { shareIcon } from '@jupyterlab/ui-components';
import { nablaIcon } from '../icon';
import { CommandIDs } from '../tokens';

// JupyterLab leaves no room between a button's icon and its label. Not in a style sheet: what loads one is larger
// than the plugins, and would come before the first panel opens.
const ROOM = `[data-command='${CommandIDs.runNotebook}'] .jp-ToolbarButtonComponent-label { margin-left: 4px; }`;

/** "Run as workflow" and "Share": in the tool bar of every notebook, the palette and the file browser. */
export const notebookPlugin: JupyterFrontEndPlugin<void> = {
  id: 'nabla-hub:notebook',
  description: 'Runs and shares notebooks.',
  autoStart: true,
  requires: [INotebookTracker, ITranslator],
  optional: [ICommandPalette, IDefaultFileBrowser],
  activate: (
    app,
    notebooks: INotebookTracker,
    translator: ITranslator,
    palette: ICommandPalette | null,
    files: IDefaultFileBrowser | null
  ) => {
    const style = document.createElement('style');
    style.textContent = ROOM;
    document.head.append(style);
    const trans = translator.load('nabla_hub');
    const run = trans.__('Run as Workflow');
    const add = (
      command: string,
      label: string,
      isEnabled?: () => boolean,
      caption?: string
    ): void => {
      app.commands.addCommand(command, {
        label,
        caption,
        icon: command === CommandIDs.shareNotebook ? shareIcon : isEnabled && nablaIcon,
        isEnabled,
        execute: async ({ path }) =>
          (await import('../doors')).act(command, app, notebooks, files, path as string | undefined)
      });
    };
    const shown = (): boolean => notebooks.currentWidget !== null;
    add(
      CommandIDs.runNotebook,
      run,
      shown,
      trans.__('Run this notebook on an instance of its own')
    );
    add(
      CommandIDs.shareNotebook,
      trans.__('Share Notebook…'),
      shown,
      trans.__('Make a link to this notebook as it is saved')
    );
    add(CommandIDs.openNotebook, trans.__('Open a Notebook to Run'));
    add(CommandIDs.runFile, run, () =>
      [...(files?.selectedItems() ?? [])].some(({ type }) => type === 'notebook')
    );
    for (const command of [
      CommandIDs.runNotebook,
      CommandIDs.shareNotebook,
      CommandIDs.openNotebook
    ]) {
      palette?.addItem({ command, category: 'Nabla' });
    }
  }
};
