import type { IOutput } from '@jupyterlab/nbformat';
import { Widget } from '@lumino/widgets';
import type { Replay, ReplayChange } from '../../model/replay';
import { CellView, type CellContext } from './cell';

/** How far from its end a list counts as being at its end, in pixels. */
const NEAR = 40;

/** A notebook as it runs: cells, outputs as they come, and the view held at the cell that runs. */
export class NotebookView extends Widget {
  constructor(
    private readonly _replay: Replay,
    private readonly _context: Omit<CellContext, 'language'>
  ) {
    super();
    this.addClass('nabla-Notebook');
    this.node.dataset.nabla = 'live-notebook';
    this.node.tabIndex = 0;
    this.node.setAttribute('role', 'document');
    this.node.setAttribute('aria-label', _context.trans.__('The notebook, live'));
    this._button = document.createElement('button');
    this._button.type = 'button';
    this._button.className = 'nabla-Button nabla-Follow';
    this._button.dataset.nabla = 'follow';
    this._button.textContent = _context.trans.__('Follow the running cell');
    this._button.hidden = true;
    this._button.addEventListener('click', () => this._setFollowing(true));
    this._observer = new IntersectionObserver(seen => this._reveal(seen), {
      root: this.node,
      rootMargin: '600px'
    });
    _replay.changed.connect(this._onChange, this);
    this._rebuild();
  }

  /** Scroll to a cell, and mark it for a moment. */
  showCell(index: number): void {
    const view = this._views[index];
    if (view) {
      this._setFollowing(false);
      this._show(index);
      view.node.scrollIntoView({ block: 'center' });
      view.node.classList.add('nabla-mod-found');
      setTimeout(() => view.node.classList.remove('nabla-mod-found'), 2000);
    }
  }

  override dispose(): void {
    clearInterval(this._clock);
    this._observer.disconnect();
    this._replay.changed.disconnect(this._onChange, this);
    this._views.forEach(view => view.dispose());
    super.dispose();
  }

  protected override onAfterAttach(): void {
    for (const name of ['wheel', 'touchmove', 'keydown', 'pointerdown']) {
      this.node.addEventListener(name, this._moved, { passive: true });
    }
    this.node.addEventListener('scroll', this._scrolled, { passive: true });
    this.node.addEventListener('load', this._loaded, true);
    this._clock = window.setInterval(() => this._tick(), 1000);
  }

  protected override onBeforeDetach(): void {
    for (const name of ['wheel', 'touchmove', 'keydown', 'pointerdown']) {
      this.node.removeEventListener(name, this._moved);
    }
    this.node.removeEventListener('scroll', this._scrolled);
    this.node.removeEventListener('load', this._loaded, true);
    clearInterval(this._clock);
  }

  private _rebuild(): void {
    this._observer.disconnect();
    this._views.forEach(view => view.dispose());
    const { language } = this._replay;
    this._views = this._replay.cells.map(
      (cell, index) => new CellView(index, cell, { ...this._context, language })
    );
    this.node.replaceChildren(...this._views.map(view => view.node), this._button);
    this._views.forEach(view => this._observer.observe(view.node));
  }

  private _reveal(seen: IntersectionObserverEntry[]): void {
    for (const { isIntersecting, target } of seen) {
      if (isIntersecting) {
        this._observer.unobserve(target);
        const index = Number((target as HTMLElement).dataset.nabla?.slice('cell-'.length));
        this._show(index);
      }
    }
  }

  /** Render a cell; that shows all its outputs, so that what waits for the next frame is void. */
  private _show(index: number): void {
    this._pending.delete(index);
    this._views[index]?.reveal();
    this._views[index]?.showState();
  }

  private _onChange(_: Replay, change: ReplayChange): void {
    if (change.kind === 'notebook') {
      this._pending.clear();
      this._rebuild();
      return;
    }
    if (change.kind === 'state') {
      this._last = change.index;
    }
    const waiting = this._pending.get(change.index) ?? { reset: false, added: [] };
    this._pending.set(change.index, waiting);
    if (change.kind === 'outputs') {
      waiting.reset = true;
      waiting.added = [];
    } else if (change.kind === 'add' && !waiting.reset) {
      append(waiting.added, change.output);
    }
    // Thousands of lines a second are one drawing a frame; a hidden page draws when it is seen.
    this._frame ||= requestAnimationFrame(() => {
      this._frame = 0;
      this._flush();
    });
  }

  private _flush(): void {
    for (const [index, { reset, added }] of this._pending) {
      const view = this._views[index];
      if (reset) {
        view?.resetOutputs();
      } else if (added.length) {
        view?.add(added);
      }
      view?.showState();
    }
    this._pending.clear();
    this._hold();
  }

  private _tick(): void {
    const { current } = this._replay;
    if (current !== null && this.isVisible && !document.hidden) {
      this._views[current]?.showState();
    }
  }

  /** Keep the end of the running cell in view, unless the person looks elsewhere. */
  private _hold(): void {
    const node = this._views[this._last]?.node;
    if (!this._following || !node) {
      this._button.hidden = this._following || this._replay.current === null;
      return;
    }
    const bottom = node.offsetTop + node.offsetHeight;
    const { scrollTop, clientHeight } = this.node;
    if (bottom > scrollTop + clientHeight - NEAR || node.offsetTop < scrollTop) {
      this.node.scrollTop = bottom - clientHeight + NEAR;
    }
  }

  private _setFollowing(value: boolean): void {
    this._following = value;
    this._button.hidden = value || this._replay.current === null;
    if (value) {
      this._hold();
    }
  }

  private readonly _moved = (event: Event): void => {
    const up =
      (event instanceof WheelEvent && event.deltaY < 0) ||
      (event instanceof KeyboardEvent && ['ArrowUp', 'PageUp', 'Home'].includes(event.key)) ||
      event.type === 'touchmove' ||
      (event.type === 'pointerdown' && event.target === this.node);
    if (up && this._replay.current !== null) {
      this._setFollowing(false);
    }
  };

  /** A figure has its height only when its image is there. */
  private readonly _loaded = (): void => this._hold();

  private readonly _scrolled = (): void => {
    const { scrollTop, clientHeight, scrollHeight } = this.node;
    if (!this._following && scrollTop + clientHeight >= scrollHeight - 2) {
      this._setFollowing(true);
    }
  };

  private readonly _observer: IntersectionObserver;
  private readonly _button: HTMLButtonElement;
  private readonly _pending = new Map<number, { reset: boolean; added: IOutput[] }>();
  private _views: CellView[] = [];
  private _following = true;
  private _last = -1;
  private _frame = 0;
  private _clock = 0;
}

/** Put an output behind others, joined to the last one when both are text of one stream. */
function append(outputs: IOutput[], output: IOutput): void {
  const last = outputs.at(-1);
  if (
    last?.output_type === 'stream' &&
    output.output_type === 'stream' &&
    last.name === output.name
  ) {
    last.text = `${last.text as string}${output.text as string}`;
  } else {
    outputs.push({ ...output });
  }
}
