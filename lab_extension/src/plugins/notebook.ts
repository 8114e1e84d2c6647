import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ITranslator } from '@jupyterlab/translation';
import { nablaIcon } from '../icon';
import { CommandIDs } from '../tokens';

const EXAMPLE = 'examples/digits/train.ipynb';

// JupyterLab leaves no room between a button's icon and its label. Not in a style sheet: what loads one is larger
// than the plugins, and would come before the first panel opens.
const ROOM = `[data-command='${CommandIDs.runNotebook}'] .jp-ToolbarButtonComponent-label { margin-left: 4px; }`;

/** "Run as workflow": in the tool bar of every notebook, the palette and the file browser. */
export const notebookPlugin: JupyterFrontEndPlugin<void> = {
  id: 'nabla-hub:notebook',
  description: 'Runs notebooks as workflows.',
  autoStart: true,
  requires: [INotebookTracker, ITranslator],
  optional: [ICommandPalette, IDefaultFileBrowser],
  activate: (
    { commands, serviceManager: { contents } },
    notebooks: INotebookTracker,
    translator: ITranslator,
    palette: ICommandPalette | null,
    files: IDefaultFileBrowser | null
  ) => {
    const style = document.createElement('style');
    style.textContent = ROOM;
    document.head.append(style);
    const trans = translator.load('nabla_hub');
    const label = trans.__('Run as Workflow');
    const openForm = (path: string): Promise<unknown> =>
      commands.execute(CommandIDs.openForm, { target: JSON.stringify({ path }) });
    commands.addCommand(CommandIDs.runNotebook, {
      label,
      icon: nablaIcon,
      caption: trans.__('Run this notebook on an instance of its own'),
      isEnabled: () => notebooks.currentWidget !== null,
      execute: async () => {
        const context = notebooks.currentWidget?.context;
        if (context?.model.dirty) {
          await context.save();
        }
        return context && openForm(contents.localPath(context.path));
      }
    });
    const selected = (): string | undefined =>
      [...(files?.selectedItems() ?? [])].find(({ type }) => type === 'notebook')?.path;
    commands.addCommand(CommandIDs.runFile, {
      label,
      icon: nablaIcon,
      isEnabled: () => selected() !== undefined,
      execute: () => {
        const path = selected();
        return path && openForm(contents.localPath(path));
      }
    });
    commands.addCommand(CommandIDs.openNotebook, {
      label: trans.__('Open a Notebook to Run'),
      execute: async ({ path }) => {
        const wanted = String(path ?? EXAMPLE);
        const there = await contents.get(wanted, { content: false }).then(
          () => true,
          () => false
        );
        return there
          ? commands.execute('docmanager:open', { path: wanted })
          : commands.execute('launcher:create');
      }
    });
    for (const command of [CommandIDs.runNotebook, CommandIDs.openNotebook]) {
      palette?.addItem({ command, category: 'Nabla' });
    }
  }
};
