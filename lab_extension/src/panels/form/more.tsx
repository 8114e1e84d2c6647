import type { TranslationBundle } from '@jupyterlab/translation';
import type { FormModel } from '../../model/form';

interface Props {
  form: FormModel;
  trans: TranslationBundle;
}

function Seconds(props: {
  name: string;
  label: string;
  value: string;
  error: string | null;
  trans: TranslationBundle;
  onChange: (value: string) => void;
}) {
  return (
    <label>
      <span>{props.label}</span>
      <input
        className="nabla-Input nabla-mod-number"
        data-nabla={props.name}
        inputMode="decimal"
        placeholder={props.trans.__('no limit')}
        aria-invalid={props.error !== null}
        value={props.value}
        onChange={event => props.onChange(event.target.value)}
      />
      {props.error && <small className="nabla-mod-bad">{props.error}</small>}
    </label>
  );
}

/** What is seldom changed: the kernel and the time-outs. */
export function More({ form, trans }: Props) {
  if (form.source) {
    return null;
  }
  const specs = form.kernels.specs?.kernelspecs ?? {};
  const known = Object.entries(specs).map(([name, spec]) => ({
    name,
    label: spec?.display_name ?? name
  }));
  if (form.kernel && !(form.kernel in specs)) {
    known.push({ name: form.kernel, label: form.kernel });
  }
  return (
    <details data-nabla="run-more">
      <summary>{trans.__('More')}</summary>
      <div className="nabla-Columns">
        <label>
          <span>{trans.__('Kernel')}</span>
          <select
            className="nabla-Input"
            data-nabla="run-kernel"
            value={form.kernel}
            onChange={event => form.update({ kernel: event.target.value })}
          >
            {!form.kernel && <option value="">{trans.__('The notebook’s own')}</option>}
            {known.map(({ name, label }) => (
              <option key={name} value={name}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <Seconds
          name="run-cell-timeout"
          label={trans.__('Stop a cell after, in seconds')}
          value={form.cellTimeout}
          error={form.timeError(form.cellTimeout)}
          trans={trans}
          onChange={cellTimeout => form.update({ cellTimeout })}
        />
        <Seconds
          name="run-timeout"
          label={trans.__('Stop the run after, in seconds')}
          value={form.timeout}
          error={form.timeError(form.timeout)}
          trans={trans}
          onChange={timeout => form.update({ timeout })}
        />
      </div>
    </details>
  );
}
