import { runIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { useEffect, useRef, useState } from 'react';
import type { Run } from '../../generated/api';
import type { FormModel } from '../../model/form';
import { useModel } from '../../ui/hooks';
import { Button, ErrorLine } from '../../ui/parts';
import type { Navigation } from '../navigation';
import { ProjectPicker } from '../../ui/project-picker';
import { DataRows } from './data';
import { ParameterField } from './field';
import { InstancePicker } from './instances';
import { More } from './more';
import { SnapshotLine } from './snapshot';
import { Variables, Warnings } from './variables';

interface Props {
  form: FormModel;
  nav: Navigation;
  trans: TranslationBundle;
}

function Parameters({ form, trans }: Props) {
  const { fields, summary } = form;
  return (
    <section aria-label={trans.__('Parameters')}>
      <h2>{trans.__('Parameters')}</h2>
      {fields.map(field => (
        <ParameterField key={field.parameter.name} field={field} form={form} trans={trans} />
      ))}
      {!fields.length && (
        <p className="nabla-Quiet" data-nabla="no-parameters">
          {summary?.has_parameters_cell
            ? trans.__('The cell tagged “parameters” sets nothing, so there is nothing to choose.')
            : trans.__(
                'This notebook has no parameters. Tag a cell that sets variables with “parameters” ' +
                  '(property inspector, right side bar) and each becomes a field here.'
              )}
        </p>
      )}
    </section>
  );
}

function Destination({ form, trans }: Props) {
  const { projects } = form;
  return (
    <section className="nabla-Columns" aria-label={trans.__('Where the run is listed')}>
      <label>
        <span>{trans.__('Name')}</span>
        <input
          className="nabla-Input"
          data-nabla="run-name"
          value={form.name}
          maxLength={100}
          disabled={form.source !== null}
          onChange={event => form.update({ name: event.target.value })}
        />
      </label>
      <ProjectPicker
        projects={projects}
        value={form.project}
        none={trans.__('My default project')}
        trans={trans}
        disabled={form.source !== null}
        onChoose={project => form.update({ project })}
      />
    </section>
  );
}

/** What stands above the fields: which notebook, and the button that starts it. */
function Head({ form, trans, onSubmit }: Props & { onSubmit: () => void }) {
  const { source } = form;
  return (
    <header className="nabla-Head">
      <div>
        <h1>
          {source
            ? trans.__('Run %1 again', source.name)
            : trans.__('Run %1 as a workflow', form.title)}
        </h1>
        <p>
          {source
            ? trans.__('On the files of run #%1, with the values below.', source.number)
            : trans.__(
                'On a copy of its folder as it is now: what you edit later does not touch it.'
              )}
        </p>
      </div>
      <div className="nabla-Head-actions">
        <Button
          name="run-form-submit"
          primary
          icon={runIcon}
          label={form.submitting ? trans.__('Starting…') : trans.__('Run')}
          title={trans.__('Start the run (Ctrl Enter)')}
          disabled={form.submitting || form.loading || !form.valid || !form.instances}
          onClick={onSubmit}
        />
      </div>
    </header>
  );
}

/** The run form: fields typed from the notebook's parameters, an instance, and Run. */
export function RunForm(props: Props & { onStarted: (run: Run) => void }) {
  const { form, trans, onStarted } = props;
  useModel(form, true);
  const [tried, setTried] = useState(false);
  const page = useRef<HTMLDivElement>(null);
  const submit = (): void => {
    setTried(true);
    void form.submit().then(run => run && onStarted(run));
  };
  useEffect(() => {
    const timer = setInterval(() => {
      // Not for a hidden page, nor for a form behind other tabs.
      if (!document.hidden && page.current?.offsetParent) {
        void form.refreshInstances();
      }
    }, 15_000);
    return () => clearInterval(timer);
  }, [form]);
  return (
    <div
      ref={page}
      className="nabla-Page"
      data-nabla="run-form"
      aria-busy={form.loading}
      onKeyDown={event => {
        if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
          event.preventDefault();
          event.stopPropagation();
          submit();
        }
      }}
    >
      <Head {...props} onSubmit={submit} />
      <div className="nabla-Form">
        <ErrorLine message={form.error} />
        {form.loading && (
          <p className="nabla-Quiet">{trans.__('Copying the notebook’s folder…')}</p>
        )}
        {!form.loading && !form.instances && (
          <Button
            name="run-form-retry"
            label={trans.__('Try again')}
            onClick={() => void form.load()}
          />
        )}
        {!form.loading && form.instances && (
          <>
            {tried && (!form.valid || form.data.refused) && (
              <ErrorLine message={trans.__('Correct the fields marked below, then run.')} />
            )}
            <Warnings form={form} trans={trans} />
            <Parameters {...props} />
            <Variables form={form} trans={trans} />
            <DataRows form={form} trans={trans} />
            <InstancePicker form={form} trans={trans} />
            <Destination {...props} />
            <More form={form} trans={trans} />
            {form.snapshot && (
              <section aria-label={trans.__('Files')}>
                <h2>{trans.__('Files it works on')}</h2>
                <SnapshotLine snapshot={form.snapshot} trans={trans} />
              </section>
            )}
          </>
        )}
      </div>
    </div>
  );
}
