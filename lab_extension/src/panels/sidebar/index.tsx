import { ReactWidget } from '@jupyterlab/ui-components';
import '../../../style/base.css';
import '../../../style/sidebar.css';
import '../../../style/dataset.css';
import type { Core } from '../../core';
import { ACTIVE_STATES, type RunList } from '../../model/runs';
import type { Navigation } from '../navigation';
import { Sidebar } from './sidebar';

const ROWS = 30;

/** The side bar's content, made when the side bar is first shown. */
export class SidebarWidget extends ReactWidget {
  constructor(
    private readonly _core: Core,
    private readonly _nav: Navigation
  ) {
    super();
    this.addClass('nabla-Widget');
    const project = _core.projects.currentId;
    this._runs = _core.runs({ project }, ROWS);
    this._active = _core.runs({ project, state: ACTIVE_STATES }, ROWS);
    void _core.projects.load();
    void _core.fork.load();
    this._start();
  }

  protected override render() {
    const { projects, search, invitations, fork, datasets, trans } = this._core;
    return (
      <Sidebar
        projects={projects}
        search={search}
        invitations={invitations}
        fork={fork}
        datasets={datasets}
        runs={this._runs}
        active={this._active}
        nav={this._nav}
        trans={trans}
      />
    );
  }

  protected override onAfterShow(): void {
    this._start();
  }

  protected override onAfterHide(): void {
    for (const model of this._live) {
      model.pause();
    }
  }

  override dispose(): void {
    this._runs.dispose();
    this._active.dispose();
    this._core.invitations.pause();
    this._core.datasets.pause();
    super.dispose();
  }

  private _start(): void {
    for (const model of this._live) {
      model.start();
    }
  }

  private get _live(): { start: () => void; pause: () => void }[] {
    return [this._runs, this._active, this._core.invitations, this._core.datasets];
  }

  private readonly _runs: RunList;
  private readonly _active: RunList;
}
