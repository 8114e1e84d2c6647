import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { Widget } from '@lumino/widgets';
import { nablaIcon } from '../icon';
import { LazyPanel } from '../lazy';
import type { Navigation } from '../panels/navigation';
import { CommandIDs, INabla } from '../tokens';

interface Tab {
  /** What tells one tab of its kind from another: what the command's `key` argument says. */
  key: string;
  command: string;
  label: string;
  make: (key: string, nav: Navigation) => Promise<Widget>;
}

/** Let a command open tabs of one kind, one for each key, which a reload of the page brings back. */
function openTabs(
  { commands, shell }: JupyterFrontEnd,
  notebooks: INotebookTracker,
  restorer: ILayoutRestorer | null,
  { key, command, label, make }: Tab
): void {
  const tracker = new WidgetTracker<MainAreaWidget>({ namespace: command.replace(':', '-') });
  const idOf = (value: string): string => `${command.replace(':', '-')}-${value}`;
  commands.addCommand(command, {
    label,
    execute: args => {
      const value = String(args[key] ?? '');
      let tab = tracker.find(({ id }) => id === idOf(value));
      if (!value || tab) {
        if (tab) {
          shell.activateById(tab.id);
        }
        return tab;
      }
      const panel = new LazyPanel(async () => {
        const { labNavigation } = await import('../panels/lab-navigation');
        const content = await make(value, labNavigation(commands, notebooks, panel));
        const named = (): void => {
          panel.title.label = content.title.label || label;
          panel.title.caption = content.title.caption;
        };
        content.title.changed.connect(named);
        named();
        return content;
      });
      panel.title.label = label;
      panel.title.icon = nablaIcon;
      panel.title.closable = true;
      tab = new MainAreaWidget({ content: panel });
      tab.id = idOf(value);
      shell.add(tab, 'main', { type: 'Nabla' });
      void tracker.add(tab);
      shell.activateById(tab.id);
      return tab;
    }
  });
  void restorer?.restore(tracker, {
    command,
    name: ({ id }) => id,
    args: ({ id }): ReadonlyPartialJSONObject => ({ [key]: id.slice(idOf('').length) })
  });
}

/** The tabs of the main area: a project's page, a run's page, and the form for another run. */
export const tabsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'nabla-hub:tabs',
  description: 'Opens projects and runs in the main area.',
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
    openTabs(app, notebooks, restorer, {
      command: CommandIDs.openProject,
      key: 'project',
      label: 'Project',
      make: async (id, nav) => {
        const [core, { HomeWidget }] = await Promise.all([nabla.core(), import('../panels/home')]);
        return new HomeWidget(core, nav, id);
      }
    });
    openTabs(app, notebooks, restorer, {
      command: CommandIDs.openRun,
      key: 'run',
      label: 'Run',
      make: async (id, nav) => {
        const [core, { RunWidget }] = await Promise.all([nabla.core(), import('../panels/run')]);
        return new RunWidget(core, nav, { rendermime, languages }, id);
      }
    });
    openTabs(app, notebooks, null, {
      command: CommandIDs.openForm,
      key: 'target',
      label: 'Run as Workflow',
      make: async (target, nav) => {
        const [core, { FormWidget }] = await Promise.all([nabla.core(), import('../panels/form')]);
        return new FormWidget(core, nav, JSON.parse(target));
      }
    });
  }
};
