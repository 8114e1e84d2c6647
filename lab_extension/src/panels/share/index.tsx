import { ReactWidget } from '@jupyterlab/ui-components';
import '../../../style/base.css';
import '../../../style/form.css';
import '../../../style/team.css';
import type { Core } from '../../core';
import type { LinksModel } from '../../model/links';
import { Share } from './share';

/** The tab that shares a notebook of one's own files, as it is saved. */
export class ShareWidget extends ReactWidget {
  constructor(
    private readonly _core: Core,
    path: string
  ) {
    super();
    this.addClass('nabla-Widget');
    this._name = path.split('/').pop() ?? path;
    this._links = _core.links({ path });
    this.title.label = _core.trans.__('Share %1', this._name);
    this.title.caption = path;
    void this._links.load();
  }

  protected override render() {
    const { trans } = this._core;
    return (
      <div className="nabla-Page" data-nabla="share-page">
        <header className="nabla-Head">
          <div>
            <h1>{trans.__('Share %1 by link', this._name)}</h1>
            <p>{trans.__('As it is saved now, with the outputs that are in the file.')}</p>
          </div>
        </header>
        <div className="nabla-Form">
          <Share links={this._links} trans={trans} />
        </div>
      </div>
    );
  }

  override dispose(): void {
    this._links.dispose();
    super.dispose();
  }

  private readonly _links: LinksModel;
  private readonly _name: string;
}
