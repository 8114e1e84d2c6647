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
  description: 'Adds the side bar with projects and runs.',
  autoStart: true,
  requires: [INabla, ILabShell, INotebookTracker, ITranslator],
  optional: [ILayoutRestorer, ICommandPalette],
  activate: (
    { commands },
    nabla: INabla,
    shell: ILabShell,
    notebooks: INotebookTracker,
    translator: ITranslator,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null
  ) => {
    const trans = translator.load('nabla_hub');
    const panel: LazyPanel = new LazyPanel(async () => {
      const [core, { SidebarWidget }, { labNavigation }] = await Promise.all([
        nabla.core(),
        import('../panels/sidebar'),
        import('../panels/lab-navigation')
      ]);
      return new SidebarWidget(core, labNavigation(commands, notebooks, panel));
    });
    panel.id = 'nabla-sidebar';
    panel.title.icon = nablaIcon;
    panel.title.caption = trans.__('Nabla: projects and runs');
    panel.node.setAttribute('role', 'region');
    panel.node.setAttribute('aria-label', trans.__('Nabla: projects and runs'));
    shell.add(panel, 'left', { rank: 150, type: 'Nabla' });
    restorer?.add(panel, panel.id);
    commands.addCommand(CommandIDs.showSidebar, {
      label: trans.__('Show Projects and Runs'),
      icon: nablaIcon,
      execute: () => shell.activateById(panel.id)
    });
    palette?.addItem({ command: CommandIDs.showSidebar, category: 'Nabla' });
  }
};
