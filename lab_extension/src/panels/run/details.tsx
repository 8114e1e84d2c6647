import { downloadIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { useState, type ReactNode } from 'react';
import type { WorkFile } from '../../api/client';
import type { Run } from '../../generated/api';
import type { RunModel } from '../../model/run';
import { isFinal } from '../../model/states';
import { download } from '../../ui/download';
import { bytes, initial, shown } from '../../ui/format';
import { useLoaded, useModel } from '../../ui/hooks';
import { ErrorLine, IconButton } from '../../ui/parts';
import { SnapshotLine } from '../form/snapshot';
import type { Navigation } from '../navigation';
import { Inputs, Made } from './data';
import type { RunView } from './view';

interface Props {
  model: RunModel;
  run: Run;
  trans: TranslationBundle;
}

/** The variables and files of secrets that the run was given; of a secret only how it is called. */
function Given({ run, trans }: Pick<Props, 'run' | 'trans'>) {
  const { env, secret_files: files } = run.spec;
  const rows = [
    ...Object.entries(env),
    ...Object.entries(files).map(([path, value]) => [`$NABLA_SECRET_FILES/${path}`, value] as const)
  ];
  return rows.length ? (
    <>
      <h2>{trans.__('Variables')}</h2>
      <table className="nabla-Table nabla-mod-facts" data-nabla="variables">
        <tbody>
          {rows.map(([name, value]) => (
            <Fact key={name} name={<code>{name}</code>}>
              <code data-nabla={`variable-${name}`}>{value}</code>
            </Fact>
          ))}
        </tbody>
      </table>
    </>
  ) : null;
}

/** The values the run was given, beside the notebook's own. */
function Parameters({ model, run, trans }: Props) {
  const { value: summary } = useLoaded(() => model.summary(), `${run.id} ${run.state}`);
  const given = run.spec.parameters;
  const known = summary?.parameters ?? [];
  const names = [...new Set([...known.map(({ name }) => name), ...Object.keys(given)])];
  if (!names.length) {
    return <p className="nabla-Quiet">{trans.__('This run was given no values.')}</p>;
  }
  return (
    <table className="nabla-Table" data-nabla="parameters">
      <thead>
        <tr>
          <th scope="col">{trans.__('Name')}</th>
          <th scope="col">{trans.__('Value')}</th>
          <th scope="col">{trans.__('In the notebook')}</th>
        </tr>
      </thead>
      <tbody>
        {names.map(name => {
          const parameter = known.find(one => one.name === name);
          const own = parameter ? initial(parameter) : '';
          const changed = name in given;
          return (
            <tr key={name} data-changed={changed} data-nabla={`value-${name}`}>
              <th scope="row">
                <code>{name}</code>
                {parameter?.help && <small>{parameter.help}</small>}
              </th>
              <td>
                <code>{changed ? shown(given[name]) : own}</code>
              </td>
              <td className="nabla-Quiet">
                <code>{own}</code>
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function FileTable({ files, model, trans }: { files: WorkFile[] } & Omit<Props, 'run'>) {
  const [error, setError] = useState<string | null>(null);
  const save = (path: string): void => {
    model.blob(`files/${path}`).then(
      blob => download(blob, path.split('/').pop() ?? path),
      (reason: Error) => setError(reason.message)
    );
  };
  return (
    <>
      <ErrorLine message={error} />
      <table className="nabla-Table">
        <tbody>
          {files.slice(0, 1000).map(({ path, size }) => (
            <tr key={path} data-nabla="output-file" data-path={path}>
              <th scope="row">
                <code>{path}</code>
              </th>
              <td className="nabla-Quiet">{bytes(size)}</td>
              <td>
                <IconButton
                  name="download-file"
                  icon={downloadIcon}
                  label={trans.__('Download %1', path)}
                  onClick={() => save(path)}
                />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {files.length > 1000 && (
        <p className="nabla-Quiet">
          {trans.__('%1 more are not listed here.', files.length - 1000)}
        </p>
      )}
    </>
  );
}

/** The files in the run's folder: first those that it wrote. */
function Outputs(props: Props) {
  const { model, run, trans } = props;
  const { value, error } = useLoaded(
    () => model.files(),
    `${run.id} ${run.state} ${run.progress.done}`
  );
  if (!value) {
    return error ? (
      <ErrorLine message={error} />
    ) : (
      <p className="nabla-Quiet">{trans.__('Looking…')}</p>
    );
  }
  const { written, brought } = value;
  return (
    <>
      <h2>{trans.__('Written by the run')}</h2>
      {written.length > 0 && <FileTable files={written} model={model} trans={trans} />}
      {!written.length && (
        <p className="nabla-Quiet" data-nabla="no-outputs">
          {isFinal(run.state)
            ? trans.__('The run wrote no files. What its code writes into its folder is kept here.')
            : trans.__('No files yet. What the code writes into its folder is kept here.')}
        </p>
      )}
      {brought.length > 0 && (
        <details>
          <summary>
            {trans._n('%1 file it was given', '%1 files it was given', brought.length)}
          </summary>
          <FileTable files={brought} model={model} trans={trans} />
        </details>
      )}
    </>
  );
}

function Fact({ name, children }: { name: ReactNode; children: ReactNode }) {
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>{children}</td>
    </tr>
  );
}

/** What the run ran on, and in. */
function Environment({ model, run, trans }: Props) {
  const { value: snapshot } = useLoaded(() => model.snapshot(), run.snapshot ?? '');
  const { environment, spec } = run;
  return (
    <>
      <table className="nabla-Table nabla-mod-facts" data-nabla="environment">
        <tbody>
          <Fact name={trans.__('Notebook')}>
            <code>{spec.notebook}</code>
          </Fact>
          <Fact name={trans.__('Kernel')}>{environment?.kernel || spec.kernel || '–'}</Fact>
          {environment?.python && <Fact name={trans.__('Python')}>{environment.python}</Fact>}
          {environment?.image && (
            <Fact name={trans.__('Image')}>
              <code>{environment.image}</code>
            </Fact>
          )}
          {environment?.packages && (
            <Fact name={trans.__('Packages')}>
              <code title={trans.__('Equal package lists have an equal hash')}>
                {environment.packages.slice(0, 16)}
              </code>
            </Fact>
          )}
          <Fact name={trans.__('Instance')}>{spec.instance || '–'}</Fact>
          {run.peak_memory !== null && (
            <Fact name={trans.__('Most memory used')}>{bytes(run.peak_memory)}</Fact>
          )}
          {run.folder && (
            <Fact name={trans.__('Folder')}>
              <code>{run.folder}</code>
            </Fact>
          )}
          <Fact name={trans.__('Run')}>
            <code>{run.id}</code>
          </Fact>
        </tbody>
      </table>
      {snapshot && (
        <>
          <h2>{trans.__('Files it works on')}</h2>
          <SnapshotLine snapshot={snapshot} trans={trans} />
        </>
      )}
      {snapshot?.git?.diff && (
        <details>
          <summary>{trans.__('Changes that were not committed')}</summary>
          <pre className="nabla-Diff">{snapshot.git.diff}</pre>
        </details>
      )}
    </>
  );
}

/** The sub tabs of a run that are tables. */
export function RunDetails(props: {
  model: RunModel;
  view: RunView;
  nav: Navigation;
  trans: TranslationBundle;
}) {
  const { model, view, nav, trans } = props;
  useModel(model);
  useModel(view);
  const { run } = model;
  if (!run || model.closed) {
    return null;
  }
  const given = { model, run, trans };
  return (
    <div className="nabla-Details" role="tabpanel">
      {view.tab === 'parameters' && (
        <>
          <Parameters {...given} />
          <Given {...given} />
          <Inputs run={run} nav={nav} trans={trans} />
        </>
      )}
      {view.tab === 'outputs' && (
        <>
          <Made run={run} nav={nav} trans={trans} />
          <Outputs {...given} />
        </>
      )}
      {view.tab === 'environment' && <Environment {...given} />}
    </div>
  );
}
