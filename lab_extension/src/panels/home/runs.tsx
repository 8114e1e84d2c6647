import type { TranslationBundle } from '@jupyterlab/translation';
import { useCallback, useEffect, useState } from 'react';
import type { Run, RunState } from '../../generated/api';
import type { RunList } from '../../model/runs';
import { isBad, runDetail, runSeconds, stateLabel } from '../../model/states';
import { duration, starter } from '../../ui/format';
import { useModel } from '../../ui/hooks';
import { Ago, Confirm, Elapsed, ErrorLine, StateDot } from '../../ui/parts';
import { Rows } from '../../ui/rows';
import type { Navigation } from '../navigation';
import { RunActions } from '../sidebar/run-row';

interface Props {
  runs: RunList;
  nav: Navigation;
  trans: TranslationBundle;
}

const ROW = 32;

function Line({ run, ...props }: Props & { run: Run; onError: (message: string | null) => void }) {
  const { runs, nav, trans, onError } = props;
  const [asking, setAsking] = useState(false);
  const open = (): void => nav.openRun(run.id);
  if (asking) {
    return (
      <div className="nabla-RunLine" role="row">
        <Confirm
          question={trans.__('Delete %1 #%2 and its files?', run.name, run.number)}
          yes={trans.__('Delete')}
          no={trans.__('Keep')}
          onNo={() => setAsking(false)}
          onYes={() => runs.delete(run).catch((error: Error) => onError(error.message))}
        />
      </div>
    );
  }
  const detail = runDetail(run, trans);
  const seconds = run.finished ? runSeconds(run) : null;
  return (
    <div
      className="nabla-RunLine"
      role="row"
      tabIndex={0}
      data-nabla="run-line"
      data-id={run.id}
      data-state={run.state}
      onClick={open}
      onKeyDown={event => event.key === 'Enter' && event.target === event.currentTarget && open()}
    >
      <span role="cell" className="nabla-mod-name">
        <StateDot run={run} trans={trans} /> {run.name}{' '}
        <span className="nabla-Quiet">#{run.number}</span>
      </span>
      <span role="cell">{stateLabel(run, trans)}</span>
      <span
        role="cell"
        className={isBad(run.state) ? 'nabla-mod-bad' : 'nabla-Quiet'}
        title={detail}
      >
        {run.state === 'Succeeded' || detail === stateLabel(run, trans) ? values(run) : detail}
      </span>
      <span role="cell" className="nabla-mod-right">
        {seconds === null ? <Elapsed run={run} /> : duration(seconds)}
      </span>
      <span role="cell">{run.spec.instance}</span>
      <span role="cell">{starter(run)}</span>
      <span role="cell" className="nabla-mod-right">
        <Ago time={run.created} trans={trans} />
      </span>
      <span role="cell">
        <RunActions {...props} run={run} onDelete={() => setAsking(true)} />
      </span>
    </div>
  );
}

/** What tells one run from the next: the values it was given. */
function values(run: Run): string {
  return Object.entries(run.spec.parameters)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
}

function Heads({ trans }: { trans: TranslationBundle }) {
  const heads = [
    trans.__('Run'),
    trans.__('State'),
    trans.__('Details'),
    trans.__('Took'),
    trans.__('Instance'),
    trans.__('By'),
    trans.__('Made'),
    ''
  ];
  return (
    <div className="nabla-RunLine nabla-mod-head" role="row">
      {heads.map((head, index) => (
        <span key={index} role="columnheader">
          {head}
        </span>
      ))}
    </div>
  );
}

function Filters({ runs, trans }: Props) {
  const [text, setText] = useState(runs.filter.q ?? '');
  const { filter } = runs;
  useEffect(() => {
    const timer = setTimeout(() => {
      if ((runs.filter.q ?? '') !== text.trim()) {
        runs.where({ q: text.trim() || undefined });
      }
    }, 200);
    return () => clearTimeout(timer);
  }, [text, runs]);
  const states: [RunState, string][] = [
    ['Pending', trans.__('Waiting')],
    ['Running', trans.__('Running')],
    ['Succeeded', trans.__('Succeeded')],
    ['Failed', trans.__('Failed')],
    ['Canceled', trans.__('Cancelled')],
    ['Error', trans.__('Error')]
  ];
  return (
    <div className="nabla-Filters" role="search">
      <input
        type="search"
        className="nabla-Input"
        data-nabla="runs-search"
        aria-label={trans.__('Find runs by name, id or tag')}
        placeholder={trans.__('Find runs by name, id or tag')}
        value={text}
        onChange={event => setText(event.target.value)}
      />
      <select
        className="nabla-Input"
        data-nabla="runs-state"
        aria-label={trans.__('State')}
        value={filter.state ?? ''}
        onChange={event => {
          runs.where({ state: event.target.value || undefined });
        }}
      >
        <option value="">{trans.__('All states')}</option>
        {states.map(([state, label]) => (
          <option key={state} value={state}>
            {label}
          </option>
        ))}
      </select>
      <span className="nabla-Quiet" role="status" data-nabla="runs-count">
        {runs.ready && count(runs, trans)}
      </span>
    </div>
  );
}

function count(runs: RunList, trans: TranslationBundle): string {
  const number = runs.total ?? runs.items.length;
  const more = runs.total === null && !runs.complete ? '+' : '';
  return trans._n('%2 run', '%2 runs', number, `${number.toLocaleString()}${more}`);
}

/** All runs of a project as a table, newest first; only the rows in view exist. */
export function RunsTable(props: Props) {
  const { runs, nav, trans } = props;
  const [error, setError] = useState<string | null>(null);
  useModel(runs);
  const more = useCallback(() => void runs.more(), [runs]);
  const filtered = Boolean(runs.filter.q ?? runs.filter.state);
  const { items } = runs;
  const ahead = runs.complete ? items.length : items.length + 20;
  return (
    <div className="nabla-RunsTable" data-nabla="runs-table">
      <Filters {...props} />
      <ErrorLine message={error ?? runs.error} />
      {runs.ready && !items.length ? (
        <div className="nabla-Empty">
          <p>
            {filtered
              ? trans.__('No run is like that.')
              : trans.__(
                  'No runs yet. Open a notebook and press “Run as workflow” in its tool bar: it runs ' +
                    'on an instance of its own, goes on when you leave, and is listed here.'
                )}
          </p>
          {!filtered && (
            <button
              type="button"
              className="nabla-Button nabla-mod-primary"
              data-nabla="open-notebook"
              onClick={() => nav.openNotebook()}
            >
              {trans.__('Open a notebook')}
            </button>
          )}
        </div>
      ) : (
        <Rows
          name="runs-rows"
          label={trans.__('Runs')}
          head={<Heads trans={trans} />}
          count={runs.ready ? Math.max(runs.total ?? ahead, items.length) : 0}
          loaded={items.length}
          height={ROW}
          onMissing={more}
          row={index => {
            const run = items[index];
            return run && <Line {...props} key={run.id} run={run} onError={setError} />;
          }}
        />
      )}
    </div>
  );
}
