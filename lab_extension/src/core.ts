import type { KernelSpec } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Api } from './api/client';
import { PageStream } from './api/stream';
import { FormModel, type FormTarget } from './model/form';
import { ProjectsModel } from './model/projects';
import { RunModel } from './model/run';
import { RunList, type RunFilter } from './model/runs';

/** The models of one page, which all panels share. */
export class Core {
  constructor(
    private readonly _kernels: KernelSpec.IManager,
    readonly trans: TranslationBundle
  ) {}

  readonly api = new Api();
  readonly stream = new PageStream(this.api);
  readonly projects = new ProjectsModel(this.api, this.stream);

  runs(filter: RunFilter = {}, limit?: number): RunList {
    return new RunList(this.api, this.stream, filter, limit);
  }

  run(id: string): RunModel {
    return new RunModel(id, this.api, this.stream);
  }

  form(target: FormTarget): FormModel {
    return new FormModel(target, this.api, this.projects, this._kernels, this.trans);
  }
}
