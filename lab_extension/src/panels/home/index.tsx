import { ReactWidget } from '@jupyterlab/ui-components';
import '../../../style/base.css';
import '../../../style/form.css';
import '../../../style/home.css';
import type { Core } from '../../core';
import type { Project } from '../../generated/api';
import type { RunList } from '../../model/runs';
import type { Navigation } from '../navigation';
import { Home } from './home';

const PAGE = 200;

/** A project's tab. */
export class HomeWidget extends ReactWidget {
  constructor(
    private readonly _core: Core,
    private readonly _nav: Navigation,
    private readonly _id: string
  ) {
    super();
    this.addClass('nabla-Widget');
    this._runs = _core.runs({ project: _id }, PAGE);
    this._runs.start();
    _core.projects.changed.connect(this._onChange, this);
    void this._load();
  }

  protected override render() {
    const { projects, trans } = this._core;
    return (
      <Home
        project={this._project}
        error={this._error}
        projects={projects}
        runs={this._runs}
        nav={this._nav}
        trans={trans}
      />
    );
  }

  protected override onAfterShow(): void {
    this._runs.start();
  }

  protected override onAfterHide(): void {
    this._runs.pause();
  }

  override dispose(): void {
    this._core.projects.changed.disconnect(this._onChange, this);
    this._runs.dispose();
    super.dispose();
  }

  private async _load(): Promise<void> {
    await this._core.projects.load();
    if (!this._project) {
      await this._core.api.project(this._id).then(
        project => {
          this._project = project;
        },
        (error: Error) => {
          this._error = error.message;
        }
      );
    }
    this._show();
  }

  private _onChange(): void {
    const known = this._core.projects.items.find(project => project.id === this._id);
    if (known && known !== this._project) {
      this._project = known;
      this._show();
    }
  }

  private _show(): void {
    if (!this.isDisposed) {
      this.title.label = this._project?.name ?? this._id;
      this.update();
    }
  }

  private readonly _runs: RunList;
  private _project: Project | null = null;
  private _error: string | null = null;
}
