import { ReactWidget } from '@jupyterlab/ui-components';
import '../../../style/base.css';
import '../../../style/form.css';
import '../../../style/home.css';
import '../../../style/team.css';
import type { Core } from '../../core';
import type { TeamModel } from '../../model/team';
import type { Navigation } from '../navigation';
import { TeamPage } from './team';

/** A team's tab. */
export class TeamWidget extends ReactWidget {
  constructor(
    private readonly _core: Core,
    private readonly _nav: Navigation,
    id: string
  ) {
    super();
    this.addClass('nabla-Widget');
    this._team = _core.team(id);
    this._team.changed.connect(({ team }) => {
      if (team) {
        this.title.label = team.name;
      }
    });
    void this._team.load();
  }

  protected override render() {
    return <TeamPage model={this._team} nav={this._nav} trans={this._core.trans} />;
  }

  override dispose(): void {
    this._team.dispose();
    super.dispose();
  }

  private readonly _team: TeamModel;
}
