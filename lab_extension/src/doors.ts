import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import type { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { Widget } from '@lumino/widgets';
import { labNavigation } from './panels/lab-navigation';
import { CommandIDs, type INabla } from './tokens';

const EXAMPLE = 'examples/digits/train.ipynb';

/** What a panel needs of the JupyterLab that it is in. */
export interface Lab {
  app: JupyterFrontEnd;
  nabla: INabla;
  notebooks: INotebookTracker;
  rendermime: IRenderMimeRegistry;
  languages: IEditorLanguageRegistry;
}

/** Make the side bar's content. */
export async function makeSidebar(
  { app, nabla, notebooks }: Pick<Lab, 'app' | 'nabla' | 'notebooks'>,
  panel: Widget
): Promise<Widget> {
  const [core, { SidebarWidget }] = await Promise.all([nabla.core(), import('./panels/sidebar')]);
  return new SidebarWidget(core, labNavigation(app.commands, notebooks, panel));
}

/** Make what a tab shows, and keep the tab's label that of its content. */
export async function makeTab(
  command: string,
  key: string,
  lab: Lab,
  panel: Widget
): Promise<Widget> {
  const content = await make(command, key, lab, panel);
  const { label } = panel.title;
  const named = (): void => {
    panel.title.label = content.title.label || label;
    panel.title.caption = content.title.caption;
  };
  content.title.changed.connect(named);
  named();
  return content;
}

async function make(command: string, key: string, lab: Lab, panel: Widget): Promise<Widget> {
  const nav = labNavigation(lab.app.commands, lab.notebooks, panel);
  const loading = lab.nabla.core();
  switch (command) {
    case CommandIDs.openProject: {
      const { HomeWidget } = await import('./panels/home');
      return new HomeWidget(await loading, nav, key);
    }
    case CommandIDs.openTeam: {
      const { TeamWidget } = await import('./panels/team');
      return new TeamWidget(await loading, nav, key);
    }
    case CommandIDs.openRun: {
      const { RunWidget } = await import('./panels/run');
      return new RunWidget(await loading, nav, lab, key);
    }
    case CommandIDs.openDataset: {
      const { DatasetWidget } = await import('./panels/dataset');
      return new DatasetWidget(await loading, nav, lab, key);
    }
    case CommandIDs.openCatalogue: {
      const { CatalogueWidget } = await import('./panels/catalogue');
      return new CatalogueWidget(await loading, nav);
    }
    case CommandIDs.share: {
      const { ShareWidget } = await import('./panels/share');
      return new ShareWidget(await loading, key);
    }
    default: {
      const { FormWidget } = await import('./panels/form');
      return new FormWidget(await loading, nav, JSON.parse(key));
    }
  }
}

/** Do what a command says to the notebook that shows, the file that is selected, or the one at `path`. */
export async function act(
  command: string,
  { commands, serviceManager: { contents } }: JupyterFrontEnd,
  notebooks: INotebookTracker,
  files: IDefaultFileBrowser | null,
  path = EXAMPLE
): Promise<unknown> {
  if (command === CommandIDs.openNotebook) {
    const there = await contents.get(path, { content: false }).then(
      () => true,
      () => false
    );
    return there
      ? commands.execute('docmanager:open', { path })
      : commands.execute('launcher:create');
  }
  let chosen: string | undefined;
  if (command === CommandIDs.runFile) {
    chosen = [...(files?.selectedItems() ?? [])].find(({ type }) => type === 'notebook')?.path;
  } else {
    const context = notebooks.currentWidget?.context;
    if (context?.model.dirty) {
      await context.save();
    }
    chosen = context?.path;
  }
  if (!chosen) {
    return undefined;
  }
  const local = contents.localPath(chosen);
  return command === CommandIDs.shareNotebook
    ? commands.execute(CommandIDs.share, { path: local })
    : commands.execute(CommandIDs.openForm, { target: JSON.stringify({ path: local }) });
}
