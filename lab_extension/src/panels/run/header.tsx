import {
  deleteIcon,
  downloadIcon,
  refreshIcon,
  shareIcon,
  stopIcon
} from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { useState } from 'react';
import type { Run } from '../../generated/api';
import type { LinksModel } from '../../model/links';
import type { RunModel } from '../../model/run';
import { isBad, isFinal, isStopping, runDetail, stateLabel } from '../../model/states';
import { useModel } from '../../ui/hooks';
import { starter } from '../../ui/format';
import { Ago, Button, Confirm, Elapsed, ErrorLine, StateDot, Tabs } from '../../ui/parts';
import { download } from '../../ui/download';
import { TagEditor } from '../../ui/tags';
import type { Navigation } from '../navigation';
import { Share } from '../share/share';
import type { RunTab, RunView } from './view';

export interface RunProps {
  model: RunModel;
  view: RunView;
  /** The links to the run's notebook, asked for when they are first wanted. */
  links: (run: Run) => LinksModel;
  suggestTags: (text: string) => Promise<readonly string[]>;
  nav: Navigation;
  trans: TranslationBundle;
}

/** When, by whom, from what: the grey line below the name. */
function Facts({ run, trans }: { run: Run; trans: TranslationBundle }) {
  const origin = {
    panel: trans.__('from a notebook'),
    cli: trans.__('from the command line'),
    sdk: trans.__('from Python'),
    api: trans.__('over the API')
  }[run.origin];
  return (
    <p className="nabla-Facts">
      <span data-nabla="run-state" data-state={run.state}>
        <StateDot run={run} trans={trans} /> <b>{stateLabel(run, trans)}</b>
        {run.started && (
          <>
            {isFinal(run.state) ? ` ${trans.__('after')} ` : ' '}
            <span className="nabla-Clock">
              <Elapsed run={run} />
            </span>
          </>
        )}
      </span>
      {!isFinal(run.state) && !isStopping(run) && <span>{runDetail(run, trans)}</span>}
      {run.state === 'Canceled' && run.reason && <span>{runDetail(run, trans)}</span>}
      <span>
        {trans.__('started by %1 %2', starter(run), origin)}{' '}
        <Ago time={run.created} trans={trans} />
      </span>
      {run.git && (
        <span title={run.git.dirty ? trans.__('With changes that were not committed') : undefined}>
          {trans.__('commit')} <code>{run.git.commit.slice(0, 8)}</code>
          {run.git.dirty && '+'}
        </span>
      )}
      {run.snapshot && (
        <span>
          {trans.__('files')} <code>{run.snapshot}</code>
        </span>
      )}
      {run.spec.instance && <span>{run.spec.instance}</span>}
      {run.peak_memory === null ? null : <Memory bytesUsed={run.peak_memory} trans={trans} />}
    </p>
  );
}

function Memory({ bytesUsed, trans }: { bytesUsed: number; trans: TranslationBundle }) {
  const text = `${(bytesUsed / 1e6).toLocaleString(undefined, { maximumFractionDigits: 0 })}\u00a0MB`;
  return <span title={trans.__('The most memory that it used at once')}>{text}</span>;
}

function Actions(props: RunProps & { run: Run; sharing: boolean; onShare: () => void }) {
  const { model, nav, trans, run } = props;
  const [asking, setAsking] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const { sharing, onShare } = props;
  if (asking) {
    return (
      <Confirm
        question={trans.__('Delete this run and its files?')}
        yes={trans.__('Delete')}
        no={trans.__('Keep')}
        onNo={() => setAsking(false)}
        onYes={() => void model.delete().then(() => model.gone && nav.closeTab())}
      />
    );
  }
  const save = (): void => {
    const name = `${run.name}-${run.number}.ipynb`;
    model.blob('notebook').then(
      blob => download(blob, name),
      (reason: Error) => setError(reason.message)
    );
  };
  return (
    <div className="nabla-Head-actions">
      <ErrorLine message={error} />
      {!isFinal(run.state) && (
        <Button
          name="run-cancel"
          icon={stopIcon}
          label={isStopping(run) ? trans.__('Cancelling…') : trans.__('Cancel')}
          disabled={isStopping(run)}
          onClick={() => void model.cancel()}
        />
      )}
      {/* Not at the end: where the form's Run was pressed, a second press must not meet it. */}
      {isFinal(run.state) && (
        <Button
          name="run-delete"
          icon={deleteIcon}
          label={trans.__('Delete')}
          onClick={() => setAsking(true)}
        />
      )}
      <Button
        name="run-rerun"
        icon={refreshIcon}
        label={trans.__('Run again')}
        title={trans.__('Run it again, with these values or others')}
        disabled={!run.snapshot}
        onClick={() => nav.rerun(run.id)}
      />
      {isFinal(run.state) && (
        <Button
          name="run-share"
          icon={shareIcon}
          label={trans.__('Share…')}
          title={trans.__('Make a link to its notebook')}
          disabled={!run.started}
          pressed={sharing}
          onClick={onShare}
        />
      )}
      <Button
        name="run-download"
        icon={downloadIcon}
        label={trans.__('Notebook')}
        title={trans.__('Download the notebook as far as it has run')}
        disabled={!run.started}
        onClick={save}
      />
    </div>
  );
}

/** Why it failed, in one sentence, with the way to the cell. */
function Failure({ run, view, trans }: { run: Run } & Pick<RunProps, 'view' | 'trans'>) {
  const { failure } = run;
  const bad = isBad(run.state) || run.interrupted;
  const sentence = failure?.reason || run.reason;
  if (!bad || !sentence) {
    return null;
  }
  const cell = failure?.cell ?? null;
  return (
    <p className="nabla-Failure" role="alert" data-nabla="run-failure">
      {sentence}{' '}
      {cell !== null && (
        <button
          type="button"
          className="nabla-Link"
          data-nabla="run-failure-cell"
          onClick={() => view.showCell(cell)}
        >
          {trans.__('Show the cell')}
        </button>
      )}
    </p>
  );
}

function ProgressLine({ run }: { run: Run }) {
  const { done, total } = run.progress;
  return isFinal(run.state) ? null : (
    <progress
      className="nabla-Progress"
      data-nabla="run-progress"
      max={total || 1}
      value={run.state === 'Pending' ? 0 : done}
    />
  );
}

/** Why there is nothing of the run to see any more, which there was. */
function Closed({ model, run, trans }: Pick<RunProps, 'model' | 'trans'> & { run: Run }) {
  const { gone, team } = model;
  const lost = team
    ? trans.__(
        'You may not see this run of the team “%1” any more: you were taken out of the team, or it is not shared with you now.',
        team
      )
    : trans.__(
        'You may not see this run any more: you were taken out of its team, or it is not shared with you now.'
      );
  return (
    <div className="nabla-RunHeader" data-nabla={gone ? 'run-gone' : 'run-lost'}>
      <h1>
        {run.name} <span className="nabla-Quiet">#{run.number}</span>
      </h1>
      <ErrorLine message={gone ? trans.__('This run was deleted.') : lost} />
    </div>
  );
}

/** Name, state, facts, verbs and sub tabs of a run. */
export function RunHeader(props: RunProps) {
  const { model, view, trans } = props;
  useModel(model);
  useModel(view);
  const [sharing, setSharing] = useState(false);
  const { run } = model;
  if (!run) {
    return (
      <div className="nabla-RunHeader">
        <ErrorLine message={model.error} />
        {!model.error && <p className="nabla-Quiet">{trans.__('Fetching the run…')}</p>}
      </div>
    );
  }
  if (model.closed) {
    return <Closed model={model} run={run} trans={trans} />;
  }
  const tabs: { id: RunTab; label: string; count?: number }[] = [
    { id: 'notebook', label: trans.__('Notebook') },
    { id: 'log', label: trans.__('Log') },
    {
      id: 'parameters',
      label: trans.__('Parameters'),
      count: Object.keys(run.spec.parameters).length
    },
    { id: 'outputs', label: trans.__('Outputs') },
    { id: 'environment', label: trans.__('Environment') }
  ];
  return (
    <div className="nabla-RunHeader" data-nabla="run-header">
      <header className="nabla-Head">
        <div>
          <h1>
            {run.name} <span className="nabla-Quiet">#{run.number}</span>
          </h1>
          <Facts run={run} trans={trans} />
          <TagEditor
            tags={run.tags}
            trans={trans}
            editable
            suggest={props.suggestTags}
            onChange={tags => void model.tag(tags)}
          />
        </div>
        <Actions {...props} run={run} sharing={sharing} onShare={() => setSharing(!sharing)} />
        {sharing && (
          <section className="nabla-Inline" aria-label={trans.__('Share by link')}>
            <Share links={props.links(run)} trans={trans} />
          </section>
        )}
      </header>
      <ErrorLine message={model.error} />
      {!model.connected && !isFinal(run.state) && (
        <p className="nabla-Warning" role="status">
          {trans.__('The connection is lost; the run goes on. Trying again…')}
        </p>
      )}
      <Failure run={run} view={view} trans={trans} />
      <Tabs
        tabs={tabs}
        current={view.tab}
        label={trans.__('Views of the run')}
        onSelect={tab => view.select(tab)}
      />
      <ProgressLine run={run} />
    </div>
  );
}
