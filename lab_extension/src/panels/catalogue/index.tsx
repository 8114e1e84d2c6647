import { ReactWidget } from '@jupyterlab/ui-components';
import '../../../style/base.css';
import '../../../style/form.css';
import '../../../style/home.css';
import '../../../style/dataset.css';
import { DatasetRoutes } from '../../api/datasets';
import type { Core } from '../../core';
import { CatalogueModel } from '../../model/catalogue';
import type { Navigation } from '../navigation';
import { Catalogue } from './catalogue';

/** The tab with the catalogue of public datasets. */
export class CatalogueWidget extends ReactWidget {
  constructor(
    private readonly _core: Core,
    private readonly _nav: Navigation
  ) {
    super();
    this.addClass('nabla-Widget');
    this.title.label = _core.trans.__('Public datasets');
    const seen = (): boolean => this.isVisible && !document.hidden;
    this._model = new CatalogueModel(new DatasetRoutes(_core.api), seen);
    void this._model.load();
  }

  protected override render() {
    return <Catalogue model={this._model} nav={this._nav} trans={this._core.trans} />;
  }

  override dispose(): void {
    this._model.dispose();
    super.dispose();
  }

  private readonly _model: CatalogueModel;
}
