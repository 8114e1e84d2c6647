import { Panel, type Widget } from '@lumino/widgets';

/** A panel whose content is fetched and made when it is first seen. */
export class LazyPanel extends Panel {
  constructor(private readonly _make: () => Promise<Widget>) {
    super();
  }

  protected override onAfterShow(): void {
    this._fill();
  }

  protected override onAfterAttach(): void {
    if (this.isVisible) {
      this._fill();
    }
  }

  private _fill(): void {
    if (this._filling) {
      return;
    }
    this._filling = true;
    this._make().then(
      content => {
        if (this.isDisposed) {
          content.dispose();
          return;
        }
        this.node.replaceChildren();
        this.addWidget(content);
      },
      (error: Error) => {
        this._filling = false;
        this.node.textContent = error.message;
      }
    );
  }

  private _filling = false;
}
