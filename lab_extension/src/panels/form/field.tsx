import { undoIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Field, FormModel } from '../../model/form';
import { choiceTexts } from '../../model/values';
import { initial, shown } from '../../ui/format';
import { IconButton } from '../../ui/parts';

interface Props {
  field: Field;
  form: FormModel;
  trans: TranslationBundle;
}

function Control({ field, form, trans }: Props) {
  const { parameter, text, error } = field;
  const id = `nabla-param-${parameter.name}`;
  const common = {
    id,
    'data-nabla': `param-${parameter.name}`,
    'aria-invalid': error !== null,
    'aria-describedby': `${id}-note`
  };
  const set = (value: string): void => form.set(field, value);
  if (parameter.choices) {
    return (
      <select
        {...common}
        className="nabla-Input"
        value={text}
        onChange={event => set(event.target.value)}
      >
        {choiceTexts(parameter).map(choice => (
          <option key={choice} value={choice}>
            {choice ? shown(JSON.parse(choice)) : initial(parameter)}
          </option>
        ))}
      </select>
    );
  }
  if (parameter.type === 'bool') {
    return (
      <label className="nabla-Check">
        <input
          {...common}
          type="checkbox"
          checked={text === 'true'}
          onChange={event => set(String(event.target.checked))}
        />
        {text === 'true' ? trans.__('yes') : trans.__('no')}
      </label>
    );
  }
  const long = parameter.type === 'list' || parameter.type === 'dict' || text.includes('\n');
  if (long) {
    return (
      <textarea
        {...common}
        className="nabla-Input nabla-mod-code"
        rows={Math.min(8, Math.max(1, Math.ceil(text.length / 60), text.split('\n').length))}
        spellCheck={false}
        value={text}
        onChange={event => set(event.target.value)}
      />
    );
  }
  const number = parameter.type === 'int' || parameter.type === 'float';
  return (
    <input
      {...common}
      className={number ? 'nabla-Input nabla-mod-number' : 'nabla-Input'}
      type="text"
      inputMode={number ? 'decimal' : undefined}
      spellCheck={false}
      value={text}
      onChange={event => set(event.target.value)}
    />
  );
}

/** One parameter: its name and type, a control that fits, what it is for, and whether it differs. */
export function ParameterField(props: Props) {
  const { field, form, trans } = props;
  const { parameter, error, changed } = field;
  const id = `nabla-param-${parameter.name}`;
  const own = initial(parameter);
  return (
    <div className="nabla-Field" data-changed={changed}>
      <label htmlFor={id}>
        <code>{parameter.name}</code>
        <small>{parameter.type === 'any' ? '' : parameter.type}</small>
      </label>
      <div className="nabla-Field-control">
        <Control {...props} />
        {changed && (
          <IconButton
            name={`reset-${parameter.name}`}
            icon={undoIcon}
            label={trans.__('Back to %1', own)}
            onClick={() => form.reset(field)}
          />
        )}
      </div>
      <small
        id={`${id}-note`}
        className={error ? 'nabla-Field-note nabla-mod-bad' : 'nabla-Field-note'}
      >
        {error ?? parameter.help}
        {!error && changed && (
          <span className="nabla-Changed">
            {parameter.help ? ' · ' : ''}
            {trans.__('the notebook has %1', own)}
          </span>
        )}
      </small>
    </div>
  );
}
