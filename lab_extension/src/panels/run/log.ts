import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import type { RunModel } from '../../model/run';

/** Characters of the log that are kept in the page: what came first goes first. */
const MOST = 2_000_000;
const PIECE = 20_000;
const ESCAPES = /\u001b\[[0-9;?]*[A-Za-z]/g;

/** The log of a run, followed while it grows. It is asked for when it is first shown. */
export class LogView extends Widget {
  constructor(
    private readonly _model: RunModel,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('nabla-Log');
    this.node.dataset.nabla = 'run-log';
    this.node.tabIndex = 0;
    this.node.setAttribute('role', 'log');
    this.node.setAttribute('aria-label', _trans.__('Log'));
    this._note = document.createElement('p');
    this._note.className = 'nabla-Quiet';
    this._text = document.createElement('div');
    this.node.append(this._note, this._text);
  }

  /** Read no further and forget what was read; it is asked for again when it is next shown. */
  forget(): void {
    this._abort.abort();
    this._abort = new AbortController();
    this._waiting.length = 0;
    this._text.replaceChildren();
    this._size = 0;
    this._dropped = false;
    this._started = false;
  }

  override dispose(): void {
    this._abort.abort();
    super.dispose();
  }

  protected override onAfterShow(): void {
    this._start();
  }

  protected override onAfterAttach(): void {
    if (this.isVisible) {
      this._start();
    }
  }

  private _start(): void {
    if (this._started) {
      return;
    }
    this._started = true;
    this._note.textContent = this._trans.__('Reading the log…');
    const { signal } = this._abort;
    this._model
      .log(text => signal.aborted || this._append(text), signal)
      .then(() => this._end(this._size ? '' : this._trans.__('The log is empty.')))
      .catch((error: Error) => {
        if (!signal.aborted) {
          this._started = false;
          this._end(error.message);
        }
      });
  }

  private _end(note: string): void {
    if (note || !this._dropped) {
      this._note.textContent = note;
    }
  }

  private _append(text: string): void {
    this._waiting.push(text);
    this._frame ||= requestAnimationFrame(() => {
      this._frame = 0;
      this._flush();
    });
  }

  private _flush(): void {
    const { scrollTop, clientHeight, scrollHeight } = this.node;
    const atEnd = scrollTop + clientHeight >= scrollHeight - 20;
    const text = this._waiting.join('').replace(ESCAPES, '').replaceAll('\r\n', '\n');
    this._waiting.length = 0;
    this._size += text.length;
    // Blocks that are out of sight cost nothing to lay out (`content-visibility` in the style).
    for (let at = 0; at < text.length;) {
      const end = text.indexOf('\n', at + PIECE) + 1 || text.length;
      const last = this._text.lastElementChild;
      if (last && (last.textContent?.length ?? 0) < PIECE) {
        last.append(text.slice(at, end));
      } else {
        const block = document.createElement('pre');
        block.textContent = text.slice(at, end);
        this._text.append(block);
      }
      at = end;
    }
    this._trim();
    if (atEnd) {
      this.node.scrollTop = this.node.scrollHeight;
    }
  }

  private _trim(): void {
    while (this._size > MOST && this._text.childElementCount > 1) {
      const first = this._text.firstElementChild;
      this._size -= first?.textContent?.length ?? 0;
      first?.remove();
      this._dropped = true;
    }
    this._note.textContent = this._dropped
      ? this._trans.__('What came before is left out here.')
      : '';
  }

  private _abort = new AbortController();
  private readonly _note: HTMLElement;
  private readonly _text: HTMLElement;
  private readonly _waiting: string[] = [];
  private _started = false;
  private _dropped = false;
  private _size = 0;
  private _frame = 0;
}
