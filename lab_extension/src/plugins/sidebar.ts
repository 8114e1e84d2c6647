import { ILayoutRestorer, ILabShell, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ITranslator } from '@jupyterlab/translation';
import { nablaIcon } from '../icon';
import { LazyPanel } from '../lazy';
import { CommandIDs, INabla } from '../tokens';

/** The ∇ side bar. */
export const sidebarPlugin: JupyterFrontEndPlugin<void> = {
  id: 'nabla-hub:sidebar',
  description: 'Adds the side bar with teams, projects and runs.',
  autoStart: true,
  requires: [INabla, ILabShell, INotebookTracker, ITranslator],
  optional: [ILayoutRestorer, ICommandPalette],
  activate: (
    app,
    nabla: INabla,
    shell: ILabShell,
    notebooks: INotebookTracker,
    translator: ITranslator,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null
  ) => {
    const trans = translator.load('nabla_hub');
    const panel: LazyPanel = new LazyPanel(async () =>
      (await import('../doors')).makeSidebar({ app, nabla, notebooks }, panel)
    );
    const caption = trans.__('Nabla: projects and runs');
    panel.id = 'nabla-sidebar';
    panel.title.icon = nablaIcon;
    panel.title.caption = caption;
    panel.node.setAttribute('role', 'region');
    panel.node.setAttribute('aria-label', caption);
    shell.add(panel, 'left', { rank: 150, type: 'Nabla' });
    restorer?.add(panel, panel.id);
    const show = (): void => shell.activateById(panel.id);
    const add = (command: string, label: string, execute: () => void): void => {
      app.commands.addCommand(command, { label, icon: nablaIcon, execute });
      palette?.addItem({ command, category: 'Nabla' });
    };
    add(CommandIDs.showSidebar, trans.__('Show Projects and Runs'), show);
    add(CommandIDs.search, trans.__('Search…'), async () => {
      show();
      (await nabla.core()).search.ask();
    });
    add(CommandIDs.newDataset, trans.__('New Dataset…'), async () => {
      show();
      (await nabla.core()).datasets.ask();
    });
    palette?.addItem({
      command: CommandIDs.openCatalogue,
      args: { of: 'public' },
      category: 'Nabla'
    });
    if (location.search.includes('nabla-fork=')) {
      // A notebook that was shared is to be copied: the side bar asks whether it shall be.
      void app.restored.then(show);
    }
  }
};
