import type { KernelSpec } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Api } from './api/client';
import { DatasetRoutes } from './api/datasets';
import { PageStream } from './api/stream';
import { ForkModel } from './model/fork';
import { FormModel, type FormTarget } from './model/form';
import { ActivityList } from './model/activity';
import { DatasetList } from './model/datasets';
import { InvitationsModel } from './model/invitations';
import { LinksModel, type LinkTarget } from './model/links';
import { ProjectsModel } from './model/projects';
import { RunModel } from './model/run';
import { RunList, type RunFilter } from './model/runs';
import { SearchModel } from './model/search';
import { SharesModel } from './model/shares';
import { TeamModel } from './model/team';

/** The models of one page, which all panels share. */
export class Core {
  constructor(
    private readonly _kernels: KernelSpec.IManager,
    readonly trans: TranslationBundle
  ) {
    this.projects = new ProjectsModel(this.api, this.stream, trans);
    this.datasets = new DatasetList(new DatasetRoutes(this.api), this.stream, this.projects);
    this.invitations = new InvitationsModel(this.api, this.stream, this.projects);
  }

  readonly api = new Api();
  readonly stream = new PageStream(this.api);
  readonly projects: ProjectsModel;
  readonly search = new SearchModel(this.api, () => this.page('secrets'));
  readonly fork = new ForkModel(this.api);
  /** The datasets of the team that the panels show. */
  readonly datasets: DatasetList;
  readonly invitations: InvitationsModel;

  /** A page of the service for people, where there are such pages: in hub mode. */
  page(path: string): string {
    return this.projects.me?.mode === 'hub' ? this.api.page(path) : '';
  }

  /** Tags in use that begin like `text`. */
  suggestTags = async (text: string): Promise<readonly string[]> =>
    (await this.api.tags(text)).items.map(({ tag }) => tag);

  runs(filter: RunFilter = {}, limit?: number, inSight?: () => boolean): RunList {
    return new RunList(this.api, this.stream, filter, limit, inSight);
  }

  run(id: string): RunModel {
    return new RunModel(id, this.api, this.stream, this.projects);
  }

  team(id: string): TeamModel {
    return new TeamModel(id, this.api, this.stream, this.projects);
  }

  /** What was done lately in `projects/ID` or `teams/ID`, asked for while that is in sight. */
  activity(below: string, inSight: () => boolean): ActivityList {
    return new ActivityList(this.api, this.stream, below, inSight);
  }

  shares(project: string, inSight: () => boolean): SharesModel {
    return new SharesModel(project, this.api, this.stream, inSight);
  }

  links(target: LinkTarget): LinksModel {
    return new LinksModel(target, this.api, this.projects);
  }

  form(target: FormTarget): FormModel {
    return new FormModel(target, this.api, this.projects, this._kernels, this.trans);
  }
}
