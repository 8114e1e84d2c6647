import type { TranslationBundle } from '@jupyterlab/translation';
import { FINAL_STATES, type Run } from '../generated/api';
import { bytes, duration } from '../ui/format';

export function isFinal(state: string): boolean {
  return FINAL_STATES.includes(state);
}

/** Whether the run ended badly, by its own fault or by ours. */
export function isBad(state: string): boolean {
  return state === 'Failed' || state === 'Error';
}

export function isStopping(run: Run): boolean {
  return !isFinal(run.state) && run.target === 'Canceled';
}

/** Seconds that a run has taken so far, or took; null before it starts. */
export function runSeconds(run: Run, now = Date.now()): number | null {
  if (!run.started) {
    return null;
  }
  const end = run.finished ? Date.parse(run.finished) : now;
  return Math.max(0, (end - Date.parse(run.started)) / 1000);
}

/** The state as a person says it. */
export function stateLabel(run: Run, trans: TranslationBundle): string {
  if (isStopping(run)) {
    return trans.__('Cancelling');
  }
  switch (run.state) {
    case 'Pending':
      return run.queue ? trans.__('Waiting') : trans.__('Starting');
    case 'Running':
      return trans.__('Running');
    case 'Succeeded':
      return trans.__('Succeeded');
    case 'Failed':
      return trans.__('Failed');
    case 'Canceled':
      return run.interrupted ? trans.__('Interrupted') : trans.__('Cancelled');
    case 'Error':
      return trans.__('Error');
    default:
      return run.state;
  }
}

function withoutStop(sentence: string): string {
  return sentence.trim().replace(/\.$/, '');
}

/** The one quiet line below a run's name: what answers the next question about it. */
export function runDetail(run: Run, trans: TranslationBundle): string {
  if (isStopping(run)) {
    return trans.__('cancelling');
  }
  if (run.state === 'Pending') {
    if (!run.queue) {
      return withoutStop(run.reason) || trans.__('starting');
    }
    const { waiting_for, place, length } = run.queue;
    return trans.__('%1 · place %2 of %3', withoutStop(waiting_for), place, length);
  }
  if (run.state === 'Running') {
    const { done, total } = run.progress;
    if (!total) {
      return trans.__('starting the kernel');
    }
    // A count, not a place: the log and failures number all cells of the notebook, these are those with code.
    return trans.__('%1 of %2 cells done', done, total);
  }
  if (run.failure) {
    const { cell, ename, evalue, reason } = run.failure;
    const what = ename ? (evalue ? `${ename}: ${evalue}` : ename) : reason;
    return cell === null ? what : trans.__('cell %1: %2', cell + 1, what);
  }
  if (run.state === 'Succeeded') {
    const seconds = runSeconds(run);
    const parts = [
      seconds === null ? '' : duration(seconds),
      run.peak_memory ? bytes(run.peak_memory) : '',
      run.spec.instance
    ];
    return parts.filter(Boolean).join(' · ');
  }
  return withoutStop(run.reason) || stateLabel(run, trans);
}
