import { deleteIcon, refreshIcon, stopIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { useState } from 'react';
import type { Run } from '../../generated/api';
import type { RunList } from '../../model/runs';
import { isBad, isFinal, isStopping, runDetail, stateLabel } from '../../model/states';
import { Ago, Confirm, Elapsed, IconButton, StateDot } from '../../ui/parts';
import type { Navigation } from '../navigation';

interface Props {
  run: Run;
  runs: RunList;
  nav: Navigation;
  trans: TranslationBundle;
  onError: (message: string | null) => void;
}

/** What can be done to a run from where it is listed: cancel it, run it again, delete it. */
export function RunActions({
  run,
  runs,
  nav,
  trans,
  onError,
  onDelete
}: Props & { onDelete: () => void }) {
  const failed = (error: Error): void => onError(error.message);
  return (
    <span className="nabla-Actions">
      {!isFinal(run.state) && !isStopping(run) && (
        <IconButton
          name="run-cancel"
          icon={stopIcon}
          label={trans.__('Cancel %1 #%2', run.name, run.number)}
          onClick={() => runs.cancel(run).catch(failed)}
        />
      )}
      <IconButton
        name="run-rerun"
        icon={refreshIcon}
        label={trans.__('Run %1 again', run.name)}
        onClick={() => nav.rerun(run.id)}
      />
      {isFinal(run.state) && (
        <IconButton
          name="run-delete"
          icon={deleteIcon}
          label={trans.__('Delete %1 #%2', run.name, run.number)}
          onClick={onDelete}
        />
      )}
    </span>
  );
}

/** A run as one row of a list: state, name, age, one quiet line. */
export function RunRow(props: Props) {
  const { run, runs, nav, trans, onError } = props;
  const [asking, setAsking] = useState(false);
  if (asking) {
    return (
      <li className="nabla-Row">
        <Confirm
          question={trans.__('Delete %1 #%2 and its files?', run.name, run.number)}
          yes={trans.__('Delete')}
          no={trans.__('Keep')}
          onNo={() => setAsking(false)}
          onYes={() => runs.delete(run).catch((error: Error) => onError(error.message))}
        />
      </li>
    );
  }
  const open = (): void => nav.openRun(run.id);
  return (
    <li className="nabla-Row" data-nabla="run-row" data-id={run.id} data-state={run.state}>
      <button
        type="button"
        className="nabla-Row-open"
        onClick={open}
        title={`${run.name} #${run.number}: ${stateLabel(run, trans)}. ${runDetail(run, trans)}`}
      >
        <StateDot run={run} trans={trans} />
        <span className="nabla-Row-name">
          {run.name} <span className="nabla-Quiet">#{run.number}</span>
        </span>
        <span className="nabla-Row-side">
          {isFinal(run.state) || !run.started ? (
            <Ago time={run.finished ?? run.created} trans={trans} />
          ) : (
            <Elapsed run={run} />
          )}
        </span>
        <small className={isBad(run.state) ? 'nabla-mod-bad' : ''}>{runDetail(run, trans)}</small>
      </button>
      <RunActions {...props} onDelete={() => setAsking(true)} />
    </li>
  );
}
