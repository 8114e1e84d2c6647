import type { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ReactWidget } from '@jupyterlab/ui-components';
import { Panel } from '@lumino/widgets';
import '../../../style/base.css';
import '../../../style/form.css';
import '../../../style/run.css';
import '../../../style/team.css';
import type { Core } from '../../core';
import type { Run } from '../../generated/api';
import type { LinksModel } from '../../model/links';
import type { RunModel } from '../../model/run';
import { isFinal } from '../../model/states';
import type { Navigation } from '../navigation';
import { RunDetails } from './details';
import { RunHeader } from './header';
import { LogView } from './log';
import { NotebookView } from './notebook';
import { RunView } from './view';

interface Renderers {
  rendermime: IRenderMimeRegistry;
  languages: IEditorLanguageRegistry;
}

/** A run's tab: its header, and below it the live notebook, the log or a table. */
export class RunWidget extends Panel {
  constructor(
    private readonly _core: Core,
    nav: Navigation,
    { rendermime, languages }: Renderers,
    id: string
  ) {
    super();
    const { trans } = _core;
    this.addClass('nabla-Widget');
    this.addClass('nabla-Run');
    this.node.dataset.nabla = 'run-page';
    this.node.dataset.id = id;
    const model = _core.run(id);
    const view = new RunView();
    this._model = model;
    this._view = view;
    const header = ReactWidget.create(
      <RunHeader
        model={model}
        view={view}
        links={run => this._linksOf(run)}
        suggestTags={_core.suggestTags}
        nav={nav}
        trans={trans}
      />
    );
    header.addClass('nabla-Run-header');
    const details = ReactWidget.create(
      <RunDetails model={model} view={view} nav={nav} trans={trans} />
    );
    details.addClass('nabla-Run-body');
    this._details = details;
    this._notebook = new NotebookView(model.replay, { rendermime, languages, trans });
    this._notebook.addClass('nabla-Run-body');
    this._log = new LogView(model, trans);
    this._log.addClass('nabla-Run-body');
    this._empty = document.createElement('p');
    this._empty.className = 'nabla-Run-empty nabla-Quiet';
    this.addWidget(header);
    this.node.append(this._empty);
    for (const widget of [this._notebook, this._log, details]) {
      widget.hide();
      this.addWidget(widget);
    }
    view.changed.connect(this._arrange, this);
    view.cellWanted.connect((_, index) => this._notebook.showCell(index));
    model.changed.connect(this._arrange, this);
    model.replay.changed.connect(this._arrange, this);
    this._arrange();
    void model.load();
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this._model.dispose();
      this._links?.dispose();
      super.dispose();
    }
  }

  private _linksOf({ id, project }: Run): LinksModel {
    if (!this._links) {
      this._links = this._core.links({ run: id, project });
      void this._links.load();
    }
    return this._links;
  }

  private _arrange(): void {
    const { tab } = this._view;
    const { run, replay, closed } = this._model;
    if (closed) {
      this._log.forget();
    }
    this._notebook.setHidden(closed || tab !== 'notebook' || !replay.ready);
    this._log.setHidden(closed || tab !== 'log' || !run);
    this._details.setHidden(closed || tab === 'notebook' || tab === 'log');
    const text = tab === 'notebook' && !replay.ready ? this._waiting() : '';
    if (this._empty.textContent !== text) {
      this._empty.textContent = text;
    }
    this._empty.hidden = !text;
    if (run) {
      this.title.label = `${run.name} #${run.number}`;
      this.title.caption = run.spec.notebook;
    }
  }

  /** Say why there is no notebook to see yet, or at all. */
  private _waiting(): string {
    const { trans } = this._core;
    const { run, noNotebook, closed } = this._model;
    if (!run || closed) {
      return '';
    }
    if (isFinal(run.state)) {
      return run.started
        ? (noNotebook ?? trans.__('Fetching the notebook…'))
        : trans.__('The run ended before its notebook was opened.');
    }
    return run.state === 'Pending'
      ? trans.__('The notebook appears here when the run starts.')
      : trans.__('The notebook is being opened.');
  }

  private readonly _model: RunModel;
  private readonly _view: RunView;
  private readonly _notebook: NotebookView;
  private readonly _log: LogView;
  private readonly _details: ReactWidget;
  private readonly _empty: HTMLElement;
  private _links: LinksModel | null = null;
}
