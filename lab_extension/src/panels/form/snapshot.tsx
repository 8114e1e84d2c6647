import type { TranslationBundle } from '@jupyterlab/translation';
import type { Snapshot } from '../../generated/api';
import { bytes } from '../../ui/format';

/** What files the run will work on, or worked on. */
export function SnapshotLine({
  snapshot,
  trans
}: {
  snapshot: Snapshot;
  trans: TranslationBundle;
}) {
  const { git, left_out } = snapshot;
  const count = snapshot.files;
  return (
    <div className="nabla-Snapshot" data-nabla="snapshot">
      <p>
        {trans._n('%2 file', '%2 files', count, count.toLocaleString())}, {bytes(snapshot.size)}
        {git && (
          <>
            {' · '}
            {trans.__('commit')} <code>{git.commit.slice(0, 8)}</code>
            {git.branch && ` (${git.branch})`}
            {git.dirty && ` ${trans.__('with changes that are not committed')}`}
          </>
        )}
        {' · '}
        <code title={trans.__('Equal folders have an equal id')}>{snapshot.id}</code>
      </p>
      {left_out.length > 0 && (
        <details>
          <summary>{trans._n('%1 thing left out', '%1 things left out', left_out.length)}</summary>
          <ul>
            {left_out.map(line => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}
