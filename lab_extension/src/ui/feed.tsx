import type { TranslationBundle } from '@jupyterlab/translation';
import type { Activity } from '../generated/api';
import { cut, type ActivityList } from '../model/activity';
import { canOpen, type Navigation } from '../panels/navigation';
import { day } from './format';
import { useModel } from './hooks';
import { Ago, Button, ErrorLine } from './parts';

interface Props {
  feed: ActivityList;
  nav: Navigation;
  trans: TranslationBundle;
  /** What the feed is told of, where nothing has happened yet. */
  empty: string;
}

function Line({ item, nav, trans }: { item: Activity } & Pick<Props, 'nav' | 'trans'>) {
  const { before, name, after } = cut(item);
  // What the service did by itself is nobody's: "Run train succeeded".
  const start = item.actor ? before : before.charAt(0).toLocaleUpperCase() + before.slice(1);
  const thing = { kind: item.kind, id: item.object, project: item.project };
  return (
    <li data-nabla="activity-line" data-kind={item.kind}>
      <span>
        {item.actor && <b>{item.actor}</b>} {start}
        {name && !item.gone && canOpen(thing) ? (
          <button
            type="button"
            className="nabla-Link"
            data-nabla="activity-link"
            onClick={() => nav.open(thing)}
          >
            {name}
          </button>
        ) : (
          <span className={item.gone ? 'nabla-Quiet' : undefined}>{name}</span>
        )}
        {after}
      </span>
      <span className="nabla-Quiet">
        <Ago time={item.time} trans={trans} />
      </span>
    </li>
  );
}

/** What was done lately, day by day, newest first. */
export function Feed({ feed, nav, trans, empty }: Props) {
  useModel(feed);
  const days: { name: string; items: Activity[] }[] = [];
  for (const item of feed.items) {
    const name = day(item.time, trans);
    const last = days.at(-1);
    if (last?.name === name) {
      last.items.push(item);
    } else {
      days.push({ name, items: [item] });
    }
  }
  return (
    <div className="nabla-Feed" data-nabla="activity" aria-busy={!feed.ready}>
      <ErrorLine message={feed.error} />
      {feed.ready && !feed.items.length && !feed.error && (
        <div className="nabla-Empty">
          <p>{empty}</p>
        </div>
      )}
      {days.map(({ name, items }) => (
        <section key={name} aria-label={name}>
          <h3>{name}</h3>
          <ol>
            {items.map(item => (
              <Line key={item.id} item={item} nav={nav} trans={trans} />
            ))}
          </ol>
        </section>
      ))}
      {feed.ready && !feed.complete && feed.items.length > 0 && (
        <Button
          name="more-activity"
          label={trans.__('Show what was before')}
          onClick={() => void feed.more()}
        />
      )}
    </div>
  );
}
