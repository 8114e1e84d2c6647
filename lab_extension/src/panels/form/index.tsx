import { ReactWidget } from '@jupyterlab/ui-components';
import '../../../style/base.css';
import '../../../style/form.css';
import type { Core } from '../../core';
import type { FormModel, FormTarget } from '../../model/form';
import type { Navigation } from '../navigation';
import { RunForm } from './form';

/** The run form's tab; it closes when the run has started, and the run's page takes its place. */
export class FormWidget extends ReactWidget {
  constructor(
    private readonly _core: Core,
    private readonly _nav: Navigation,
    target: FormTarget
  ) {
    super();
    this.addClass('nabla-Widget');
    this._form = _core.form(target);
    this._form.changed.connect(({ title }) => {
      if (title) {
        this.title.label = _core.trans.__('Run %1', title);
      }
    });
    void this._form.load();
  }

  protected override render() {
    return (
      <RunForm
        form={this._form}
        nav={this._nav}
        trans={this._core.trans}
        onStarted={run => {
          this._nav.openRun(run.id);
          this._nav.closeTab();
        }}
      />
    );
  }

  private readonly _form: FormModel;
}
