import type { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import type { IOutput } from '@jupyterlab/nbformat';
import { OutputAreaModel, SimplifiedOutputArea } from '@jupyterlab/outputarea';
import { MimeModel, type IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import { MessageLoop } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import type { LiveCell } from '../../model/replay';
import { bytes, duration, ticking } from '../../ui/format';

/** Characters of text shown of one output; the whole of it is in the downloaded notebook. */
const MOST_TEXT = 200_000;
const MOST_OUTPUTS = 100;

export interface CellContext {
  rendermime: IRenderMimeRegistry;
  languages: IEditorLanguageRegistry;
  trans: TranslationBundle;
  language: string;
}

function element(tag: string, className: string, parent: HTMLElement): HTMLElement {
  const node = document.createElement(tag);
  node.className = className;
  parent.append(node);
  return node;
}

/** An output short enough to show: of long text its end, which is where things happen. */
function bounded(output: IOutput): { output: IOutput; cut: number } {
  const whole = output.text as string | undefined;
  if (output.output_type !== 'stream' || !whole || whole.length <= MOST_TEXT) {
    return { output, cut: 0 };
  }
  return { output: { ...output, text: whole.slice(-MOST_TEXT) }, cut: whole.length - MOST_TEXT };
}

/** One cell of the live notebook. Its source and outputs are rendered when it first comes into view. */
export class CellView extends Widget {
  constructor(
    readonly index: number,
    private readonly _cell: LiveCell,
    private readonly _context: CellContext
  ) {
    super();
    this.addClass('nabla-Cell');
    this.node.dataset.nabla = `cell-${index}`;
    this.node.dataset.type = _cell.type;
    this._prompt = element('div', 'nabla-Cell-prompt', this.node);
    const body = element('div', 'nabla-Cell-body', this.node);
    if (_cell.injected) {
      element('div', 'nabla-Cell-label', body).textContent =
        _context.trans.__('values of this run');
    }
    this._source = element('div', 'nabla-Cell-source', body);
    if (_cell.type !== 'markdown') {
      this._source.classList.add('nabla-Cell-code', 'jp-RenderedHTMLCommon');
      element('pre', '', this._source).textContent = _cell.source;
    } else {
      this._source.textContent = _cell.source;
    }
    element('div', 'nabla-Cell-bar', body);
    this._note = element('div', 'nabla-Cell-note', body);
    this._out = element('div', 'nabla-Cell-out', body);
    this.showState();
  }

  /** Render the source and the outputs there are; called once, when the cell comes into view. */
  reveal(): void {
    if (this._revealed || this.isDisposed) {
      return;
    }
    this._revealed = true;
    void this._renderSource();
    this.resetOutputs();
  }

  showState(now = Date.now()): void {
    const { state, count, seconds, since, type } = this._cell;
    this.node.dataset.state = state;
    const code = type === 'code';
    const number = state === 'running' ? '*' : (count ?? ' ');
    this._prompt.textContent = code ? `[${number}]` : '';
    const clock = state === 'running' && since ? ticking(Math.max(0, now - since) / 1000) : '';
    const spent = clock || (seconds === null || !code ? '' : duration(seconds));
    if (code && spent) {
      const time = document.createElement('small');
      time.textContent = spent;
      this._prompt.append(time);
    }
    this._showNote();
  }

  /** Show further outputs, or further text of the last stream; all of them anew where that is simpler. */
  add(outputs: IOutput[]): void {
    if (!this._revealed) {
      return;
    }
    this._chars += outputs.reduce((sum, output) => sum + length(output), 0);
    const { _area: area } = this;
    const many = (area?.model.length ?? 0) + outputs.length > MOST_OUTPUTS;
    if (!area || many || this._chars > 1.5 * MOST_TEXT) {
      this.resetOutputs();
    } else {
      outputs.forEach(output => area.model.add(output));
    }
  }

  /** Show the outputs of the cell as they are now. */
  resetOutputs(): void {
    if (!this._revealed) {
      return;
    }
    const shown = this._cell.outputs.slice(0, MOST_OUTPUTS).map(bounded);
    this._cut = shown.reduce((sum, { cut }) => sum + cut, 0);
    this._chars = shown.reduce((sum, { output }) => sum + length(output), 0);
    if (shown.length || this._area) {
      this._outputArea().model.fromJSON(shown.map(({ output }) => output));
    }
    this._showNote();
  }

  override dispose(): void {
    const { _area: area } = this;
    if (area?.isAttached && !area.node.isConnected) {
      // The tab left the page before, and told only its own children.
      MessageLoop.sendMessage(area, Widget.Msg.AfterDetach);
    }
    area?.dispose();
    super.dispose();
  }

  private _outputArea(): SimplifiedOutputArea {
    if (!this._area) {
      const { rendermime } = this._context;
      // Never trusted: whoever ran the notebook is not who looks at it.
      this._area = new SimplifiedOutputArea({
        model: new OutputAreaModel({ trusted: false }),
        rendermime
      });
      Widget.attach(this._area, this._out);
    }
    return this._area;
  }

  private async _renderSource(): Promise<void> {
    const { rendermime, languages, language } = this._context;
    const { type, source } = this._cell;
    if (type === 'markdown') {
      const renderer = rendermime.createRenderer('text/markdown');
      await renderer.renderModel(
        new MimeModel({ data: { 'text/markdown': source }, trusted: false })
      );
      if (!this.isDisposed) {
        this._source.replaceChildren(renderer.node);
        MessageLoop.sendMessage(renderer, Widget.Msg.AfterAttach);
      }
      return;
    }
    if (type === 'code') {
      const pre = document.createElement('pre');
      const known = languages.findByName(language) ?? languages.findBest(language);
      await languages.highlight(source, known, pre);
      this._source.replaceChildren(pre);
    }
  }

  private _showNote(): void {
    const { trans } = this._context;
    const { state, outputs } = this._cell;
    const notes: string[] = [];
    if (this._cut) {
      notes.push(
        trans.__('%1 of text before this are in the downloaded notebook.', bytes(this._cut))
      );
    }
    if (this._revealed && outputs.length > MOST_OUTPUTS) {
      const more = (outputs.length - MOST_OUTPUTS).toLocaleString();
      notes.push(trans.__('%1 more outputs are in the downloaded notebook.', more));
    }
    if (state === 'timeout') {
      notes.push(trans.__('Stopped: the cell took longer than it may.'));
    } else if (state === 'canceled') {
      notes.push(trans.__('Cancelled here.'));
    }
    this._note.textContent = notes.join(' ');
  }

  private readonly _prompt: HTMLElement;
  private readonly _source: HTMLElement;
  private readonly _out: HTMLElement;
  private readonly _note: HTMLElement;
  private _area: SimplifiedOutputArea | null = null;
  private _revealed = false;
  private _chars = 0;
  private _cut = 0;
}

function length(output: IOutput): number {
  return typeof output.text === 'string' ? output.text.length : 0;
}
