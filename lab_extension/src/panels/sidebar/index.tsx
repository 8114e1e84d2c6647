import { ReactWidget } from '@jupyterlab/ui-components';
import '../../../style/base.css';
import '../../../style/sidebar.css';
import type { Core } from '../../core';
import type { RunList } from '../../model/runs';
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
    this._runs = _core.runs({ project: _core.projects.currentId }, ROWS);
    void _core.projects.load();
    this._runs.start();
  }

  protected override render() {
    const { projects, trans } = this._core;
    return <Sidebar projects={projects} runs={this._runs} nav={this._nav} trans={trans} />;
  }

  protected override onAfterShow(): void {
    this._runs.start();
  }

  protected override onAfterHide(): void {
    this._runs.pause();
  }

  override dispose(): void {
    this._runs.dispose();
    super.dispose();
  }

  private readonly _runs: RunList;
}
