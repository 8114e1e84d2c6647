import { addIcon, closeIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { FormModel } from '../../model/form';
import { Button, IconButton } from '../../ui/parts';

interface Props {
  form: FormModel;
  trans: TranslationBundle;
}

/** What in the notebook looks like a secret, and where it would be safe. */
export function Warnings({ form, trans }: Props) {
  const warnings = form.summary?.warnings ?? [];
  return warnings.length ? (
    <div className="nabla-Warning" role="status" data-nabla="secret-warning">
      {warnings.slice(0, 5).map(warning => (
        <div key={warning}>{warning}</div>
      ))}
      {warnings.length > 5 && <div>{trans.__('and %1 more', warnings.length - 5)}</div>}
      <div className="nabla-Quiet">
        {trans.__(
          'Whoever sees the run sees it, too. Keep it as a secret, and give it to the run as a variable below.'
        )}
      </div>
    </div>
  ) : null;
}

/** Variables of the run's environment; a value may name a secret, which nobody gets to see here. */
export function Variables({ form, trans }: Props) {
  const { env } = form;
  return (
    <section aria-label={trans.__('Variables')} data-nabla="run-variables">
      {env.length > 0 && <h2>{trans.__('Variables')}</h2>}
      {env.map(({ name, value }, index) => (
        <div className="nabla-Line nabla-Variable" key={index}>
          <input
            className="nabla-Input nabla-mod-code"
            data-nabla="variable-name"
            aria-label={trans.__('Name of the variable')}
            placeholder="NAME"
            spellCheck={false}
            aria-invalid={form.variableError(name) !== null}
            value={name}
            autoFocus={!name}
            onChange={event => form.setVariable(index, { name: event.target.value, value })}
          />
          <input
            className="nabla-Input nabla-mod-code"
            data-nabla="variable-value"
            aria-label={trans.__('Value of the variable')}
            placeholder={trans.__('value, or secret:NAME')}
            spellCheck={false}
            value={value}
            onChange={event => form.setVariable(index, { name, value: event.target.value })}
          />
          <IconButton
            name="variable-remove"
            icon={closeIcon}
            label={trans.__('Leave out the variable %1', name)}
            onClick={() => form.setVariable(index, null)}
          />
          {form.variableError(name) && (
            <small className="nabla-mod-bad">{form.variableError(name)}</small>
          )}
        </div>
      ))}
      <p>
        <Button
          name="variable-add"
          icon={addIcon}
          label={trans.__('Variable')}
          title={trans.__('Set a variable of the run’s environment')}
          onClick={() => form.setVariable(env.length, { name: '', value: '' })}
        />{' '}
        <small className="nabla-Quiet">
          {env.length > 0 &&
            trans.__(
              'secret:NAME stands for a secret of the project or the team: shown to nobody.'
            )}
        </small>
      </p>
    </section>
  );
}
