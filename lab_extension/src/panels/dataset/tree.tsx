import {
  caretDownIcon,
  caretRightIcon,
  closeIcon,
  fileIcon,
  folderIcon
} from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { useEffect, useId, useLayoutEffect, useRef, useState } from 'react';
import type { DatasetFile } from '../../generated/api';
import { folderOf, nameOf, type FileTree, type TreeRow } from '../../model/tree';
import { bytes } from '../../ui/format';
import { useModel } from '../../ui/hooks';
import { IconButton } from '../../ui/parts';

const ROW = 24;
const SPARE = 10;
/** Lines ahead of those in view that are fetched already. */
const AHEAD = 400;

interface Props {
  tree: FileTree;
  label: string;
  trans: TranslationBundle;
  onOpen: (file: DatasetFile) => void;
  /** How a file or folder is taken out; without it none can be. */
  onRemove?: (path: string) => void;
}

function Line({
  row,
  tree,
  active,
  id,
  trans,
  onOpen,
  onRemove
}: Omit<Props, 'label'> & {
  row: TreeRow;
  active: boolean;
  id: string;
}) {
  const { file, folder, at, open } = row;
  if (!file) {
    return folder.error ? (
      <span className="nabla-mod-bad">{folder.error}</span>
    ) : (
      <div className="nabla-Rows-blank" />
    );
  }
  const inner = file.type === 'folder';
  const Caret = open ? caretDownIcon : caretRightIcon;
  const Icon = inner ? folderIcon : fileIcon;
  return (
    <div
      id={id}
      role="treeitem"
      className={active ? 'nabla-TreeItem nabla-mod-active' : 'nabla-TreeItem'}
      data-nabla="file"
      data-path={file.path}
      data-type={file.type}
      data-aimed={inner && tree.aimed === file.path ? true : undefined}
      aria-level={folder.depth + 1}
      aria-posinset={at + 1}
      aria-setsize={folder.total}
      aria-expanded={inner ? open : undefined}
      aria-selected={active}
      title={file.path}
      style={{ paddingLeft: 8 + folder.depth * 14 }}
      onClick={() => {
        tree.select(file.path);
        if (inner) {
          tree.toggle(row);
        } else {
          onOpen(file);
        }
      }}
    >
      <span className="nabla-TreeItem-caret">{inner && <Caret.react tag="span" />}</span>
      <Icon.react tag="span" className="nabla-TreeItem-icon" />
      <span className="nabla-TreeItem-name">
        {tree.text.trim() && !folder.depth ? file.path : nameOf(file.path)}
      </span>
      <span className="nabla-TreeItem-side">
        {inner && `${file.files.toLocaleString()} · `}
        {bytes(file.size)}
      </span>
      {onRemove && (
        <span className="nabla-TreeItem-verbs">
          <IconButton
            name="file-remove"
            icon={closeIcon}
            label={trans.__('Take %1 out of this version', file.path)}
            onClick={() => onRemove(file.path)}
          />
        </span>
      )}
    </div>
  );
}

/** Where a key leads from the line that has the cursor; undefined: it is no key of a tree. */
function moved(
  key: string,
  at: number,
  page: number,
  rows: readonly TreeRow[]
): number | undefined {
  const row = rows[at];
  switch (key) {
    case 'ArrowDown':
      return at + 1;
    case 'ArrowUp':
      return at - 1;
    case 'PageDown':
      return at + page;
    case 'PageUp':
      return at - page;
    case 'Home':
      return 0;
    case 'End':
      return rows.length - 1;
    case 'ArrowRight':
      return row?.open ? at + 1 : at;
    case 'ArrowLeft': {
      const parent = folderOf(row?.file?.path ?? '');
      const above = row?.open ? at : rows.findIndex(({ file }) => file?.path === parent);
      return above < 0 ? at : above;
    }
    default:
      return undefined;
  }
}

/** Which lines of a scrolled box are in view. */
function useView(box: React.RefObject<HTMLElement>) {
  const [view, setView] = useState({ top: 0, rows: 30 });
  const measure = (): void => {
    const element = box.current;
    if (element) {
      const top = Math.floor(element.scrollTop / ROW);
      const fitting = Math.ceil(element.clientHeight / ROW) + 1;
      setView(last => (last.top === top && last.rows === fitting ? last : { top, rows: fitting }));
    }
  };
  useLayoutEffect(() => {
    const observer = new ResizeObserver(measure);
    if (box.current) {
      observer.observe(box.current);
    }
    return () => observer.disconnect();
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);
  return { view, measure };
}

/** Files and folders, of which only the lines in view exist; moved through with the arrow keys. */
export function Tree(props: Props) {
  const { tree, label, trans, onOpen, onRemove } = props;
  useModel(tree);
  const box = useRef<HTMLDivElement>(null);
  const base = useId();
  const { rows } = tree;
  const { view, measure } = useView(box);
  const from = Math.max(0, view.top - SPARE);
  const to = Math.min(rows.length, view.top + view.rows + SPARE);
  useEffect(() => {
    tree.want(from, to + AHEAD);
  }, [tree, rows, from, to]);
  const show = (at: number): void => {
    const element = box.current;
    if (element) {
      const top = at * ROW;
      const bottom = top + ROW - element.clientHeight;
      element.scrollTop = Math.min(top, Math.max(bottom, element.scrollTop));
    }
  };
  const at = tree.activeRow;
  const keys = (event: React.KeyboardEvent): void => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    // As the tree is now: what was drawn last may be one key behind.
    const { key } = event;
    const { rows: lines, activeRow: place } = tree;
    const row = lines[place];
    const next = moved(key, place, Math.max(1, view.rows - 2), lines);
    if (key === 'Enter' || key === ' ') {
      if (row?.file?.type === 'file') {
        onOpen(row.file);
      } else if (row) {
        tree.toggle(row);
      }
    } else if (key === 'Delete' && row?.file && onRemove) {
      onRemove(row.file.path);
    } else if (next === undefined) {
      return;
    } else if (row && key === 'ArrowRight' && !row.open) {
      tree.toggle(row, true);
    } else if (row?.open && key === 'ArrowLeft') {
      tree.toggle(row, false);
    } else {
      const there = Math.max(0, Math.min(lines.length - 1, next));
      const file = lines[there]?.file;
      if (file) {
        tree.select(file.path);
      }
      show(there);
    }
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div
      ref={box}
      className="nabla-Tree"
      data-nabla="files"
      role="tree"
      aria-label={label}
      aria-busy={tree.busy}
      aria-activedescendant={at >= from && at < to ? `${base}-${at}` : undefined}
      tabIndex={0}
      onScroll={measure}
      onKeyDown={keys}
    >
      {tree.ready && !rows.length && (
        <p className="nabla-Quiet">
          {tree.text.trim() ? trans.__('No path has that in it.') : trans.__('No files yet.')}
        </p>
      )}
      <div role="presentation" style={{ height: rows.length * ROW, position: 'relative' }}>
        {rows.slice(from, to).map((each, offset) => {
          const place = from + offset;
          return (
            <div
              key={each.file ? each.file.path : `missing-${place}`}
              className="nabla-Tree-row"
              role="presentation"
              style={{ top: place * ROW, height: ROW }}
            >
              <Line {...props} row={each} active={place === at} id={`${base}-${place}`} />
            </div>
          );
        })}
      </div>
    </div>
  );
}
