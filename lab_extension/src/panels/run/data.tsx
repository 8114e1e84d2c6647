import type { TranslationBundle } from '@jupyterlab/translation';
import type { Run } from '../../generated/api';
import type { Navigation } from '../navigation';

interface Props {
  run: Run;
  nav: Navigation;
  trans: TranslationBundle;
}

interface Row {
  place: string;
  asked: string;
  version: string;
}

function rows(
  place: string,
  asked: Record<string, string>,
  versions: Record<string, string>
): Row[] {
  const names = [...new Set([...Object.keys(versions), ...Object.keys(asked)])];
  return names.map(name => ({
    place: `/${place}/${name}`,
    asked: asked[name] ?? versions[name] ?? '',
    version: versions[name] ?? ''
  }));
}

function Table(props: { found: Row[]; name: string; title: string; nav: Navigation }) {
  const { found, name, title, nav } = props;
  return found.length ? (
    <>
      <h2>{title}</h2>
      <table className="nabla-Table nabla-mod-facts" data-nabla={name}>
        <tbody>
          {found.map(({ place, asked, version }) => (
            <tr key={place}>
              <th scope="row">
                <code>{place}</code>
              </th>
              <td>
                {asked !== version && `${asked} `}
                {version && (
                  <button
                    type="button"
                    className="nabla-Link"
                    data-nabla="data-open"
                    onClick={() => nav.openDataset(version)}
                  >
                    <code>{version}</code>
                  </button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  ) : null;
}

/** The versions of datasets that a run reads. */
export function Inputs({ run, nav, trans }: Props) {
  const found = [
    ...rows('inputs', run.spec.inputs, run.inputs),
    ...rows('datasets', run.spec.datasets ?? {}, run.datasets)
  ];
  return <Table found={found} nav={nav} name="data-inputs" title={trans.__('Datasets it reads')} />;
}

/** The versions of datasets that a run makes, once it has. */
export function Made({ run, nav, trans }: Props) {
  const found = rows('outputs', run.spec.outputs, run.outputs);
  return (
    <Table found={found} nav={nav} name="data-outputs" title={trans.__('Datasets it makes')} />
  );
}
