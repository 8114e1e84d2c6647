import { useCallback, useEffect, useMemo, useState } from 'react';
import type { DatasetVersion, DifferenceCount } from '../../generated/api';
import { DifferenceModel, type Different } from '../../model/difference';
import { tagsOf } from '../../model/datasets';
import { bytes } from '../../ui/format';
import { useLoaded, useModel } from '../../ui/hooks';
import { ErrorLine } from '../../ui/parts';
import { Rows } from '../../ui/rows';
import type { DatasetProps } from './page';

type Props = DatasetProps & { version: DatasetVersion };

const ROW = 26;
const SIGNS = { added: '+', removed: '−', changed: '~' };

function Counts({ count, trans }: { count: DifferenceCount } & Pick<Props, 'trans'>) {
  const { added, removed, changed, unchanged } = count;
  return (
    <p className="nabla-Facts" data-nabla="difference-count" role="status">
      <span>{trans.__('%1 added', added.toLocaleString())}</span>
      <span>{trans.__('%1 removed', removed.toLocaleString())}</span>
      <span>{trans.__('%1 changed', changed.toLocaleString())}</span>
      <span>{trans.__('%1 the same', unchanged.toLocaleString())}</span>
      <span>
        +{bytes(count.added_bytes)} −{bytes(count.removed_bytes)}
      </span>
    </p>
  );
}

function Sizes({ item: { before, after } }: { item: Different }) {
  const sizes = [before, after].flatMap(file => (file ? [bytes(file.size)] : []));
  return <>{sizes.join(' → ')}</>;
}

/** A small text file of both versions, side by side; lines that are alike far from a change are left out. */
function SideBySide({
  model,
  item,
  trans
}: {
  model: DifferenceModel;
  item: Different;
} & Pick<Props, 'trans'>) {
  const { value, error } = useLoaded(
    () => model.lines(item).then(pairs => ({ pairs })),
    `${model.before} ${model.after} ${item.path}`
  );
  if (!value) {
    return error ? (
      <ErrorLine message={error} />
    ) : (
      <p className="nabla-Quiet">{trans.__('Fetching…')}</p>
    );
  }
  const { pairs } = value;
  if (!pairs) {
    return <p className="nabla-Quiet">{trans.__('This is no text.')}</p>;
  }
  const near = pairs.map((_, at) =>
    pairs.slice(Math.max(0, at - 3), at + 4).some(pair => !pair.same)
  );
  return (
    <table className="nabla-Sides" data-nabla="side-by-side">
      <tbody>
        {pairs.map(({ before, after, same }, at) =>
          near[at] ? (
            <tr key={at} data-same={same}>
              <td data-there={before !== null}>{before}</td>
              <td data-there={after !== null}>{after}</td>
            </tr>
          ) : (
            near[at - 1] && (
              <tr key={at}>
                <td className="nabla-Quiet" colSpan={2}>
                  ⋯
                </td>
              </tr>
            )
          )
        )}
      </tbody>
    </table>
  );
}

function Differences({ model, trans }: { model: DifferenceModel } & Pick<Props, 'trans'>) {
  useModel(model);
  const [open, setOpen] = useState<Different | null>(null);
  const { list, count } = model;
  const more = useCallback(() => void list.more(), [list]);
  const all = count ? count.added + count.removed + count.changed : list.items.length;
  return (
    <>
      <ErrorLine message={model.error ?? list.error} />
      {count && <Counts count={count} trans={trans} />}
      {list.ready && !list.items.length && !list.error && (
        <p className="nabla-Quiet" data-nabla="no-difference">
          {trans.__('Both have the same files.')}
        </p>
      )}
      <Rows
        name="differences"
        label={trans.__('What differs')}
        count={list.ready ? Math.max(all, list.items.length) : 0}
        loaded={list.items.length}
        height={ROW}
        onMissing={more}
        row={index => {
          const item = list.items[index];
          return (
            item && (
              <div
                className="nabla-Difference"
                role="row"
                data-nabla="difference"
                data-change={item.change}
              >
                <span role="cell" className="nabla-Difference-sign" aria-label={item.change}>
                  {SIGNS[item.change]}
                </span>
                <span role="cell" title={item.path}>
                  {model.comparable(item) ? (
                    <button
                      type="button"
                      className="nabla-Link"
                      data-nabla="difference-open"
                      aria-expanded={open?.path === item.path}
                      onClick={() => setOpen(open?.path === item.path ? null : item)}
                    >
                      {item.path}
                    </button>
                  ) : (
                    item.path
                  )}
                </span>
                <span role="cell" className="nabla-Quiet">
                  <Sizes item={item} />
                </span>
              </div>
            )
          );
        }}
      />
      {open && (
        <section className="nabla-Compare-text" aria-label={open.path}>
          <b>{open.path}</b>
          <SideBySide model={model} item={open} trans={trans} />
        </section>
      )}
    </>
  );
}

/** What differs between the chosen version and another. */
export function Compare({ model, version, trans }: Props) {
  const { dataset, versions } = model;
  const others = versions.items.filter(({ name }) => name !== version.name);
  const older = others.find(({ created }) => created < version.created);
  const [before, setBefore] = useState(version.base || older?.name || others[0]?.name || '');
  const known = others.some(({ name }) => name === before);
  const difference = useMemo(
    () => (before ? new DifferenceModel(model.routes, model.id, before, version.name) : null),
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [model, before, version.name, version.files, version.size]
  );
  useEffect(() => {
    void difference?.load();
    return () => difference?.dispose();
  }, [difference]);
  const label = ({ name, message }: DatasetVersion): string =>
    [name, ...(dataset ? tagsOf(dataset, name) : []), message.split('\n')[0]?.slice(0, 40)]
      .filter(Boolean)
      .join(' · ');
  if (!before) {
    return (
      <p className="nabla-Quiet nabla-Dataset-pad">
        {trans.__('There is no other version to compare with yet.')}
      </p>
    );
  }
  return (
    <div className="nabla-Compare" data-nabla="compare">
      <div className="nabla-Line">
        <label>
          {trans.__('From')}
          <select
            className="nabla-Input"
            data-nabla="compare-before"
            value={before}
            onChange={event => setBefore(event.target.value)}
          >
            {!known && <option value={before}>{before}</option>}
            {others.map(each => (
              <option key={each.id} value={each.name}>
                {label(each)}
              </option>
            ))}
          </select>
        </label>
        <label>
          {trans.__('to')}
          <select
            className="nabla-Input"
            data-nabla="compare-after"
            value={version.name}
            onChange={event => model.choose(event.target.value)}
          >
            {[version, ...others].map(each => (
              <option key={each.id} value={each.name}>
                {label(each)}
              </option>
            ))}
          </select>
        </label>
      </div>
      {difference && (
        <Differences key={`${before} ${version.name}`} model={difference} trans={trans} />
      )}
    </div>
  );
}
