import { ReactWidget } from '@jupyterlab/ui-components';
import '../../../style/base.css';
import '../../../style/form.css';
import '../../../style/home.css';
import type { Core } from '../../core';
import type { Project } from '../../generated/api';
import { ApiError } from '../../api/client';
import type { ActivityList } from '../../model/activity';
import type { RunList } from '../../model/runs';
import type { SharesModel } from '../../model/shares';
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
    this._shares = _core.shares(_id);
    this._activity = _core.activity(`projects/${_id}`);
    this._runs.start();
    _core.projects.changed.connect(this._onChange, this);
    _core.stream.accessChanged.connect(this._onAccess, this);
    void this._load();
    void this._shares.refresh();
  }

  protected override render() {
    const { projects, trans } = this._core;
    return (
      <Home
        project={this._project}
        error={this._error}
        projects={projects}
        runs={this._runs}
        shares={this._shares}
        activity={this._activity}
        suggestTags={this._core.suggestTags}
        secretsPage={this._core.page(`secrets?of=project:${this._id}`)}
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
    this._core.stream.accessChanged.disconnect(this._onAccess, this);
    this._runs.dispose();
    this._shares.dispose();
    this._activity.dispose();
    super.dispose();
  }

  private async _load(): Promise<void> {
    await this._core.projects.load();
    if (!this._project) {
      await this._ask();
    }
    this._show();
  }

  /** Ask for the project itself; one that was in sight and is not now is told of, and not shown. */
  private async _ask(): Promise<void> {
    try {
      this._project = await this._core.api.project(this._id);
      this._error = null;
    } catch (error) {
      const denied = error instanceof ApiError && [403, 404].includes(error.status);
      if (denied && this._project) {
        const { name } = this._project;
        this._error = this._core.trans.__(
          'You may not see the project “%1” any more: it was deleted, or you were taken out of its team.',
          name
        );
        this._project = null;
        this._runs.pause();
      } else if (!this._project) {
        this._error = (error as Error).message;
      }
    }
  }

  private _onAccess(): void {
    void this._ask().then(() => this._show());
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
      this.title.label = this._project?.name ?? (this.title.label || this._id);
      this.update();
    }
  }

  private readonly _runs: RunList;
  private readonly _shares: SharesModel;
  private readonly _activity: ActivityList;
  private _project: Project | null = null;
  private _error: string | null = null;
}
