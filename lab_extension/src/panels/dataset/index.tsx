import type { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ReactWidget } from '@jupyterlab/ui-components';
import '../../../style/base.css';
import '../../../style/form.css';
import '../../../style/home.css';
import '../../../style/run.css';
import '../../../style/dataset.css';
import type { Core } from '../../core';
import { DatasetModel } from '../../model/dataset';
import { UploadModel } from '../../model/upload';
import type { Navigation } from '../navigation';
import { wanted } from '../wanted';
import { DatasetPage } from './page';

/** What shows contents: the renderers of this JupyterLab. */
export interface Renderers {
  rendermime: IRenderMimeRegistry;
  languages: IEditorLanguageRegistry;
}

/** A dataset's tab. */
export class DatasetWidget extends ReactWidget {
  constructor(
    private readonly _core: Core,
    private readonly _nav: Navigation,
    { rendermime, languages }: Renderers,
    id: string
  ) {
    super();
    this.addClass('nabla-Widget');
    this._renderers = { rendermime, languages };
    this._model = new DatasetModel(id, _core.api, _core.stream, _core.projects);
    this._upload = new UploadModel(this._model.routes, id);
    this._model.changed.connect(({ dataset }) => {
      if (dataset && this.title.label !== dataset.name) {
        this.title.label = dataset.name;
      }
    });
    wanted.asked.connect(this._onAsked, this);
    this._model.choose(wanted.take(id));
    void this._model.load();
  }

  protected override render() {
    return (
      <DatasetPage
        model={this._model}
        upload={this._upload}
        renderers={this._renderers}
        suggestTags={this._core.suggestTags}
        nav={this._nav}
        trans={this._core.trans}
      />
    );
  }

  override dispose(): void {
    if (!this.isDisposed) {
      wanted.asked.disconnect(this._onAsked, this);
      this._upload.dispose();
      this._model.dispose();
      super.dispose();
    }
  }

  private _onAsked(_: unknown, id: string): void {
    if (id === this._model.id) {
      this._model.choose(wanted.take(id));
    }
  }

  private readonly _model: DatasetModel;
  private readonly _upload: UploadModel;
  private readonly _renderers: Renderers;
}
