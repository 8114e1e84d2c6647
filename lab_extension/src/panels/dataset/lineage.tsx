import type { ReactNode } from 'react';
import type { DatasetVersion } from '../../generated/api';
import { shown } from '../../ui/format';
import { useLoaded } from '../../ui/hooks';
import { Ago, ErrorLine } from '../../ui/parts';
import type { DatasetProps } from './page';

type Props = DatasetProps & { version: DatasetVersion };

const MOST = 100;

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>{children}</td>
    </tr>
  );
}

/** What made a version. */
function MadeBy({ model, version, nav, trans }: Props) {
  const { made_by: by, base } = version;
  const parameters = Object.entries(by.parameters);
  return (
    <table className="nabla-Table nabla-mod-facts" data-nabla="made-by">
      <tbody>
        <Fact name={trans.__('Made by')}>
          {by.run ? (
            <button
              type="button"
              className="nabla-Link"
              data-nabla="lineage-run"
              onClick={() => nav.openRun(by.run)}
            >
              {by.run_name || by.run}
            </button>
          ) : (
            version.owner
          )}{' '}
          <span className="nabla-Quiet">
            <Ago time={version.committed ?? version.created} trans={trans} />
          </span>
        </Fact>
        {by.notebook && (
          <Fact name={trans.__('Notebook')}>
            <code>{by.notebook}</code>
          </Fact>
        )}
        {by.commit && (
          <Fact name={trans.__('Commit')}>
            <code>{by.commit}</code>
          </Fact>
        )}
        {parameters.length > 0 && (
          <Fact name={trans.__('Parameters')}>
            {parameters.map(([name, value]) => (
              <div key={name}>
                <code>
                  {name} = {shown(value)}
                </code>
              </div>
            ))}
          </Fact>
        )}
        {by.inputs.length > 0 && (
          <Fact name={trans.__('From the data')}>
            {by.inputs.map(input => (
              <div key={input}>
                <button
                  type="button"
                  className="nabla-Link"
                  data-nabla="lineage-input"
                  onClick={() => nav.openDataset(input)}
                >
                  <code>{input}</code>
                </button>
              </div>
            ))}
          </Fact>
        )}
        {base && (
          <Fact name={trans.__('Began as a copy of')}>
            <button type="button" className="nabla-Link" onClick={() => model.choose(base)}>
              <code>{base}</code>
            </button>
          </Fact>
        )}
        {by.source && (
          <Fact name={trans.__('Taken from')}>
            <code>{by.source}</code>
          </Fact>
        )}
        {version.hash && (
          <Fact name={trans.__('Hash')}>
            <code title={trans.__('DVC names the same files so')}>{version.hash}</code>
          </Fact>
        )}
      </tbody>
    </table>
  );
}

/** What made a version, and who read it. */
export function Lineage(props: Props) {
  const { model, version, nav, trans } = props;
  const { value, error } = useLoaded(
    () => model.routes.reads(model.id, version.name, { limit: MOST }),
    `${version.id} ${version.version}`
  );
  return (
    <div className="nabla-Details" data-nabla="lineage">
      <MadeBy {...props} />
      <h2>{trans.__('Read by')}</h2>
      <ErrorLine message={error} />
      {value && !value.items.length && (
        <p className="nabla-Quiet" data-nabla="no-reads">
          {trans.__(
            'Nothing has read this version yet. Runs and notebooks that do are listed here.'
          )}
        </p>
      )}
      {value && value.items.length > 0 && (
        <table className="nabla-Table" data-nabla="reads">
          <tbody>
            {value.items.map(read => (
              <tr key={`${read.run} ${read.user}`} data-nabla="read">
                <th scope="row">
                  {read.run ? (
                    <button
                      type="button"
                      className="nabla-Link"
                      onClick={() => nav.openRun(read.run)}
                    >
                      {read.run_name || read.run}
                    </button>
                  ) : (
                    trans.__('a notebook')
                  )}
                </th>
                <td>{read.user}</td>
                <td className="nabla-Quiet">
                  <Ago time={read.last} trans={trans} />
                </td>
                <td className="nabla-Quiet">
                  {read.count > 1 && trans.__('%1 times', read.count.toLocaleString())}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {value?.cursor && (
        <p className="nabla-Quiet">{trans.__('These are the latest; there are more.')}</p>
      )}
    </div>
  );
}
