import { ReactWidget } from '@jupyterlab/ui-components';
import '../../../style/base.css';
import '../../../style/form.css';
import '../../../style/home.css';
import '../../../style/sidebar.css';
import '../../../style/dataset.css';
import { DatasetRoutes } from '../../api/datasets';
import type { Core } from '../../core';
import type { Project } from '../../generated/api';
import { ApiError } from '../../api/client';
import type { ActivityList } from '../../model/activity';
import { DatasetList } from '../../model/datasets';
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
    // Whoever hears of a change of access before this page does may not ask either.
    const inSight = (): boolean =>
      this._known ? this._project !== null && _core.projects.sees(this._known.team) : true;
    this._runs = _core.runs({ project: _id }, PAGE, inSight);
    this._shares = _core.shares(_id, inSight);
    this._activity = _core.activity(`projects/${_id}`, inSight);
    this._datasets = new DatasetList(
      new DatasetRoutes(_core.api),
      _core.stream,
      _core.projects,
      () => this._project?.team ?? null
    );
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
        datasets={this._datasets}
        suggestTags={this._core.suggestTags}
        secretsPage={this._core.page(`secrets?of=project:${this._id}`)}
        nav={this._nav}
        trans={trans}
      />
    );
  }

  protected override onAfterShow(): void {
    if (this._project) {
      this._runs.start();
    }
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
    this._datasets.dispose();
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
    const { gains } = this._core.projects;
    try {
      this._take(await this._core.api.project(this._id));
    } catch (error) {
      const denied = error instanceof ApiError && [403, 404].includes(error.status);
      this._refused = denied ? gains : -1;
      if (denied && this._project) {
        this._lose(this._project);
      } else if (!this._project) {
        this._error = (error as Error).message;
      }
    }
  }

  private _lose({ name }: Project): void {
    this._refused = this._core.projects.gains;
    this._error = this._core.trans.__(
      'You may not see the project “%1” any more: it was deleted, or you were taken out of its team.',
      name
    );
    this._project = null;
    this._runs.pause();
  }

  /** Show the project; what was not asked for while it was out of sight is asked for now. */
  private _take(project: Project): void {
    const back = this._known && !this._project;
    this._project = this._known = project;
    this._error = null;
    if (back) {
      this._runs.start();
      void this._shares.refresh();
    }
  }

  private _onAccess(): void {
    const { projects } = this._core;
    if (this._project && !projects.sees(this._project.team)) {
      this._lose(this._project);
      this._show();
    } else if (this._known && !projects.sees(this._known.team)) {
      return;
    } else if (this._project || this._refused !== projects.gains) {
      void this._ask().then(() => this._show());
    }
  }

  private _onChange(): void {
    const known = this._core.projects.items.find(project => project.id === this._id);
    if (known && known !== this._project) {
      this._take(known);
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
  /** The datasets of the project's team. */
  private readonly _datasets: DatasetList;
  private _project: Project | null = null;
  /** The project as it was seen last. */
  private _known: Project | null = null;
  /** What the `gains` of the projects were when this one was refused. */
  private _refused = -1;
  private _error: string | null = null;
}
