import type { INotebookTracker } from '@jupyterlab/notebook';
import type { CommandRegistry } from '@lumino/commands';
import { Signal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';
import { CommandIDs } from '../tokens';
import { canOpen, type Navigation, type OpenNotebook, type Thing } from './navigation';
import { wanted } from './wanted';

/** The notebooks open in this JupyterLab, and when they or their kernels change. */
class OpenNotebooks {
  constructor(private readonly _tracker: INotebookTracker) {
    _tracker.forEach(panel => this._watch(panel));
    _tracker.widgetAdded.connect((_, panel) => this._watch(panel));
  }

  readonly changed = new Signal<this, void>(this);

  list(): OpenNotebook[] {
    const found: OpenNotebook[] = [];
    this._tracker.forEach(({ context, sessionContext, title, isDisposed }) => {
      if (!isDisposed) {
        found.push({
          path: context.path,
          name: title.label.replace(/\.ipynb$/, ''),
          status: sessionContext.session?.kernel?.status ?? 'unknown',
          kernel: sessionContext.session?.kernel ? sessionContext.kernelDisplayName : ''
        });
      }
    });
    return found;
  }

  private _watch(panel: Parameters<Parameters<INotebookTracker['forEach']>[0]>[0]): void {
    const tell = (): void => this.changed.emit();
    panel.sessionContext.statusChanged.connect(tell);
    panel.sessionContext.kernelChanged.connect(tell);
    panel.title.changed.connect(tell);
    panel.disposed.connect(tell);
    tell();
  }
}

let notebooks: OpenNotebooks | null = null;

/** Say where panels lead, by the commands of this JupyterLab; `panel` is the tab that is asked for. */
export function labNavigation(
  commands: CommandRegistry,
  tracker: INotebookTracker,
  panel: Widget
): Navigation {
  notebooks ??= new OpenNotebooks(tracker);
  const go = (command: string, args: Record<string, string>): void => {
    void commands.execute(command, args);
  };
  const openRun = (run: string): void => go(CommandIDs.openRun, { run });
  const openProject = (project: string): void => go(CommandIDs.openProject, { project });
  const openTeam = (team: string): void => go(CommandIDs.openTeam, { team });
  const openDataset = (reference: string): void => {
    const [dataset = '', version] = reference.split(':');
    if (version) {
      wanted.ask(dataset, version);
    }
    go(CommandIDs.openDataset, { dataset });
  };
  const open = (thing: Thing): boolean => {
    const { kind, id, project } = thing;
    if (!canOpen(thing)) {
      return false;
    }
    if (kind === 'run') {
      openRun(id);
    } else if (kind === 'team') {
      openTeam(id);
    } else if (kind.startsWith('dataset')) {
      openDataset(id);
    } else {
      openProject(kind === 'project' ? id : (project ?? ''));
    }
    return true;
  };
  return {
    openRun,
    openProject,
    openTeam,
    openDataset,
    openCatalogue: () => go(CommandIDs.openCatalogue, { of: 'public' }),
    open,
    rerun: run => go(CommandIDs.openForm, { target: JSON.stringify({ rerun: run }) }),
    openNotebook: path => go(CommandIDs.openNotebook, path ? { path } : {}),
    closeTab: () => panel.parent?.close(),
    notebooks
  };
}
