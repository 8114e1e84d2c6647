import type { TranslationBundle } from '@jupyterlab/translation';
import type { CatalogueModel, Listed } from '../../model/catalogue';
import { bytes } from '../../ui/format';
import { useModel } from '../../ui/hooks';
import { Button, ErrorLine } from '../../ui/parts';
import type { Navigation } from '../navigation';

interface Props {
  model: CatalogueModel;
  nav: Navigation;
  trans: TranslationBundle;
}

/** Where it is from: a link only where it leads to a page. */
function Source({ item: { homepage, sources } }: { item: Listed }) {
  const from = homepage || sources[0] || '';
  if (!/^https?:\/\//i.test(from)) {
    return <>{from}</>;
  }
  return (
    <a href={from} target="_blank" rel="noopener noreferrer">
      {from.replace(/^https?:\/\//i, '').replace(/\/$/, '')}
    </a>
  );
}

function Verb({ item, model, nav, trans }: Props & { item: Listed }) {
  const { name, state, dataset, done, total } = item;
  if (state === 'Fetching') {
    return (
      <div className="nabla-Catalogue-verb">
        <span className="nabla-Quiet" role="status">
          {total ? trans.__('%1 of %2', bytes(done), bytes(total)) : bytes(done)}
        </span>
        <progress className="nabla-Bar" max={total || undefined} value={total ? done : undefined} />
        <Button name="public-stop" label={trans.__('Stop')} onClick={() => void model.stop(name)} />
      </div>
    );
  }
  return (
    <div className="nabla-Catalogue-verb">
      {dataset && state === 'Ready' ? (
        <Button
          name="public-open"
          primary
          label={trans.__('Open')}
          onClick={() => nav.openDataset(dataset)}
        />
      ) : (
        <Button
          name="public-fetch"
          label={state === 'Failed' ? trans.__('Try again') : trans.__('Fetch')}
          title={trans.__('Bring it into the store that everybody here reads; it is fetched once')}
          onClick={() => void model.fetch(name)}
        />
      )}
    </div>
  );
}

/** The catalogue: what may be had, under which licence, and how far it is. */
export function Catalogue(props: Props) {
  const { model, trans } = props;
  useModel(model, true);
  const { list } = model;
  return (
    <div className="nabla-Page nabla-Home" data-nabla="catalogue">
      <header className="nabla-Head">
        <div>
          <h1>{trans.__('Public datasets')}</h1>
          <p>
            {trans.__(
              'Fetched once into the store that everybody here reads. In a notebook or a run: public/NAME.'
            )}
          </p>
        </div>
        <input
          type="search"
          className="nabla-Input nabla-Catalogue-search"
          data-nabla="catalogue-search"
          aria-label={trans.__('Find public datasets')}
          placeholder={trans.__('Find public datasets')}
          value={model.text}
          onChange={event => model.find(event.target.value)}
        />
      </header>
      <div className="nabla-Catalogue">
        <ErrorLine message={model.error ?? list.error} />
        {!list.ready && !list.error && <p className="nabla-Quiet">{trans.__('Fetching…')}</p>}
        {list.ready && !list.items.length && (
          <p className="nabla-Quiet">
            {model.text.trim()
              ? trans.__('Nothing in the catalogue is called like that.')
              : trans.__('The catalogue is empty: an admin can add to it.')}
          </p>
        )}
        <ul>
          {list.items.map(item => (
            <li
              key={item.name}
              data-nabla="public-dataset"
              data-id={item.name}
              data-state={item.state}
            >
              <div>
                <b>{item.title || item.name}</b> <code>public/{item.name}</code>
                <p>{item.description}</p>
                <p className="nabla-Facts nabla-Quiet">
                  <span>{item.size ? bytes(item.size) : trans.__('size unknown')}</span>
                  {item.licence && <span>{item.licence}</span>}
                  <span>
                    <Source item={item} />
                  </span>
                </p>
                {item.state === 'Failed' && <ErrorLine message={item.reason} />}
              </div>
              <Verb {...props} item={item} />
            </li>
          ))}
        </ul>
        {list.ready && !list.complete && (
          <Button
            name="more-public"
            label={trans.__('Show more')}
            onClick={() => void list.more()}
          />
        )}
      </div>
    </div>
  );
}
