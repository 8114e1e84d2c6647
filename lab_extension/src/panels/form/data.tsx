import { addIcon, closeIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { FormModel } from '../../model/form';
import { MOST_DATA, type DataOffer, type DataPlace, type DataRow } from '../../model/run-data';
import { Combo } from '../../ui/combo';
import { bytes } from '../../ui/format';
import { Button, IconButton } from '../../ui/parts';

interface Props {
  form: FormModel;
  trans: TranslationBundle;
}

function Offer({ offer: { ref, about, size } }: { offer: DataOffer }) {
  return (
    <>
      <code>{ref}</code>
      <span>{about}</span>
      <span>{size === null ? '' : bytes(size)}</span>
    </>
  );
}

/** One dataset of the run: which, and in which folder. */
function Row({ row, form, trans }: Props & { row: DataRow }) {
  const { data } = form;
  const { place, name, ref, asked } = row;
  const inner = place === 'inputs';
  const [nameError, refError] = [data.nameError(row), data.refError(row)];
  const error = refError ?? nameError;
  return (
    <div className="nabla-DataRow" data-nabla={`run-${place}`} data-name={name}>
      <Combo
        name={`${place}-dataset`}
        label={inner ? trans.__('Version to read') : trans.__('Dataset to write to')}
        placeholder={inner ? 'digits:latest' : 'digits-model'}
        value={ref}
        invalid={refError !== null}
        autoFocus={!ref}
        suggest={text => form.offers(place, text)}
        text={offer => offer.ref}
        show={offer => <Offer offer={offer} />}
        onChange={text => data.setRef(row, text)}
      />
      <label className="nabla-DataRow-name">
        <span>
          {inner ? trans.__('at') : trans.__('from')} <code>/{place}/</code>
        </span>
        <input
          className="nabla-Input nabla-mod-code"
          data-nabla={`${place}-name`}
          aria-label={trans.__('Name of the folder in /%1', place)}
          placeholder="NAME"
          spellCheck={false}
          aria-invalid={nameError !== null}
          value={name}
          onChange={event => data.setName(row, event.target.value)}
        />
      </label>
      <IconButton
        name={`${place}-remove`}
        icon={closeIcon}
        label={trans.__('Leave out %1', `/${place}/${name}`)}
        onClick={() => data.remove(row)}
      />
      {error ? (
        <small className="nabla-mod-bad" role="alert">
          {error}
        </small>
      ) : (
        asked && <small className="nabla-Quiet">{trans.__('it was asked for as %1', asked)}</small>
      )}
    </div>
  );
}

/** What the run reads and makes; without any, one line that offers it. */
export function DataRows({ form, trans }: Props) {
  const { data } = form;
  const places: [DataPlace, string, string][] = [
    ['inputs', trans.__('Input'), trans.__('Let the run read a version of a dataset')],
    ['outputs', trans.__('Output'), trans.__('Let the run make a version of a dataset')]
  ];
  const [reads, makes] = [data.of('inputs').length > 0, data.of('outputs').length > 0];
  return (
    <section aria-label={trans.__('Data')} data-nabla="run-data">
      {(reads || makes) && <h2>{trans.__('Data')}</h2>}
      {places.map(([place]) =>
        data
          .of(place)
          .map((row, index) => (
            <Row key={`${place}-${index}`} row={row} form={form} trans={trans} />
          ))
      )}
      <p className="nabla-Line">
        {places.map(([place, label, title]) => (
          <Button
            key={place}
            name={`${place}-add`}
            icon={addIcon}
            label={label}
            title={title}
            disabled={data.of(place).length >= MOST_DATA}
            onClick={() => data.add(place)}
          />
        ))}
        <small className="nabla-Quiet">
          {!reads && !makes && trans.__('Datasets that it reads or makes')}
          {reads && trans.__('An input is read-only at /inputs/NAME.')}{' '}
          {makes &&
            trans.__(
              'What lies in /outputs/NAME when it has succeeded becomes a new version; a dataset that does not exist is made.'
            )}
        </small>
      </p>
    </section>
  );
}
