import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { Lab } from '../doors';
import { nablaIcon } from '../icon';
import { LazyPanel } from '../lazy';
import { CommandIDs, INabla } from '../tokens';

/** Let a command open tabs of one kind, one for each value of its argument `key`; a reload of the page brings them back. */
function openTabs(
  { commands, shell }: JupyterFrontEnd,
  lab: Lab,
  restorer: ILayoutRestorer | null,
  command: string,
  key: string,
  label: string
): void {
  const namespace = command.replace(':', '-');
  const tracker = new WidgetTracker<MainAreaWidget>({ namespace });
  commands.addCommand(command, {
    label,
    execute: args => {
      const value = String(args[key] ?? '');
      const wanted = `${namespace}-${value}`;
      let tab = tracker.find(({ id }) => id === wanted);
      if (value && !tab) {
        const panel: LazyPanel = new LazyPanel(async () =>
          (await import('../doors')).makeTab(command, value, lab, panel)
        );
        panel.title.label = label;
        panel.title.icon = nablaIcon;
        panel.title.closable = true;
        tab = new MainAreaWidget({ content: panel });
        tab.id = wanted;
        shell.add(tab, 'main', { type: 'Nabla' });
        void tracker.add(tab);
      }
      if (tab) {
        shell.activateById(tab.id);
      }
      return tab;
    }
  });
  void restorer?.restore(tracker, {
    command,
    name: ({ id }) => id,
    args: ({ id }) => ({ [key]: id.slice(namespace.length + 1) })
  });
}

/** The tabs of the main area: a project's page, a team's, a run's, a dataset's, and the forms to run and to share. */
export const tabsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'nabla-hub:tabs',
  description: 'Opens projects, teams, runs and data in the main area.',
  autoStart: true,
  requires: [INabla, INotebookTracker, IRenderMimeRegistry, IEditorLanguageRegistry],
  optional: [ILayoutRestorer],
  activate: (
    app,
    nabla: INabla,
    notebooks: INotebookTracker,
    rendermime: IRenderMimeRegistry,
    languages: IEditorLanguageRegistry,
    restorer: ILayoutRestorer | null
  ) => {
    const lab = { app, nabla, notebooks, rendermime, languages };
    openTabs(app, lab, restorer, CommandIDs.openProject, 'project', 'Project');
    openTabs(app, lab, restorer, CommandIDs.openTeam, 'team', 'Team');
    openTabs(app, lab, restorer, CommandIDs.openRun, 'run', 'Run');
    openTabs(app, lab, restorer, CommandIDs.openDataset, 'dataset', 'Dataset');
    openTabs(app, lab, restorer, CommandIDs.openCatalogue, 'of', 'Public Datasets');
    openTabs(app, lab, null, CommandIDs.openForm, 'target', 'Run as Workflow');
    openTabs(app, lab, null, CommandIDs.share, 'path', 'Share');
  }
};
