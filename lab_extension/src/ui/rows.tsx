import { useEffect, useLayoutEffect, useRef, useState, type ReactNode } from 'react';

const SPARE = 8;

/**
 * A long list of which only the visible rows exist. Rows have one height; rows that have not been
 * fetched yet are blank, and `onMissing` is called until they are there.
 */
export function Rows(props: {
  count: number;
  loaded: number;
  height: number;
  label: string;
  name: string;
  head?: ReactNode;
  row: (index: number) => ReactNode;
  onMissing: () => void;
}) {
  const { count, loaded, height, row, onMissing } = props;
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, rows: 30 });
  const measure = (): void => {
    const element = box.current;
    if (element) {
      const top = Math.floor(element.scrollTop / height);
      const rows = Math.ceil(element.clientHeight / height) + 1;
      setView(last => (last.top === top && last.rows === rows ? last : { top, rows }));
    }
  };
  useLayoutEffect(() => {
    measure();
    const observer = new ResizeObserver(measure);
    if (box.current) {
      observer.observe(box.current);
    }
    return () => observer.disconnect();
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [height]);
  const from = Math.max(0, view.top - SPARE);
  const to = Math.min(count, view.top + view.rows + SPARE);
  useEffect(() => {
    if (to > loaded && loaded < count) {
      onMissing();
    }
  }, [to, loaded, count, onMissing]);
  return (
    <div className="nabla-Rows" ref={box} onScroll={measure} data-nabla={props.name}>
      <div role="table" aria-label={props.label} aria-rowcount={count}>
        {props.head}
        <div role="rowgroup" style={{ height: count * height, position: 'relative' }}>
          {Array.from({ length: Math.max(0, to - from) }, (_, offset) => {
            const index = from + offset;
            return (
              <div key={index} className="nabla-Rows-row" style={{ top: index * height, height }}>
                {index < loaded ? row(index) : <div className="nabla-Rows-blank" />}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}
