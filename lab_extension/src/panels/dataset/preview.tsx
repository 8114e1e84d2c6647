import { closeIcon, downloadIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { MessageLoop } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import { useEffect, useLayoutEffect, useRef, useState } from 'react';
import type { DatasetFile, DatasetVersion } from '../../generated/api';
import { look, type Preview } from '../../model/preview';
import { Replay } from '../../model/replay';
import type { Table } from '../../model/table';
import { nameOf } from '../../model/tree';
import { download } from '../../ui/download';
import { bytes } from '../../ui/format';
import { useLoaded } from '../../ui/hooks';
import { ErrorLine, IconButton } from '../../ui/parts';
import type { Renderers } from './index';
import type { DatasetProps } from './page';

/** Bytes that a browser can be trusted to hold. */
const DOWNLOAD = 500_000_000;

function TableView({
  table,
  cut,
  trans
}: {
  table: Table;
  cut: boolean;
  trans: TranslationBundle;
}) {
  const { head, rows } = table;
  const numbers = head.map((_, at) =>
    rows.every(row => !row[at] || !Number.isNaN(Number(row[at])))
  );
  return (
    <>
      <div className="nabla-Preview-scroll">
        <table className="nabla-Data" data-nabla="preview-table">
          <thead>
            <tr>
              {head.map((name, at) => (
                <th key={at} scope="col" data-number={numbers[at]}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, line) => (
              <tr key={line}>
                {head.map((_, at) => (
                  <td
                    key={at}
                    data-number={numbers[at]}
                    title={(row[at]?.length ?? 0) > 40 ? row[at]?.slice(0, 2000) : undefined}
                  >
                    {row[at]?.slice(0, 300)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="nabla-Quiet nabla-Preview-note">
        {cut || rows.length >= 200
          ? trans._n('The first row.', 'The first %1 rows.', rows.length)
          : trans._n('%1 row', '%1 rows', rows.length)}
      </p>
    </>
  );
}

/** An image from a Blob: what an SVG says as a script does not run in an `<img>`. */
function ImageView({
  image,
  name,
  trans
}: {
  image: Blob;
  name: string;
  trans: TranslationBundle;
}) {
  const box = useRef<HTMLImageElement>(null);
  const [size, setSize] = useState('');
  useEffect(() => {
    const url = URL.createObjectURL(image);
    if (box.current) {
      box.current.src = url;
    }
    return () => URL.revokeObjectURL(url);
  }, [image]);
  return (
    <div className="nabla-Preview-image">
      <img
        ref={box}
        alt={name}
        data-nabla="preview-image"
        onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) =>
          setSize(`${naturalWidth} × ${naturalHeight}`)
        }
        onError={() => setSize(trans.__('This is no image that the browser can show.'))}
      />
      <p className="nabla-Quiet">{size}</p>
    </div>
  );
}

/** Text with the colours of its language, which the name of the file tells. */
function TextView({ text, path, languages }: { text: string; path: string } & Renderers) {
  const box = useRef<HTMLPreElement>(null);
  useEffect(() => {
    const target = box.current;
    if (!target) {
      return;
    }
    target.textContent = text;
    const language = languages.findByFileName(path);
    if (language) {
      const pre = document.createElement('pre');
      void languages
        .highlight(text, language, pre)
        .then(() => target.isConnected && target.replaceChildren(...pre.childNodes));
    }
  }, [text, path, languages]);
  return (
    <pre
      ref={box}
      className="nabla-Preview-text jp-RenderedHTMLCommon"
      data-nabla="preview-text"
      tabIndex={0}
    />
  );
}

/** A notebook with its outputs, never trusted: sanitised, and without scripts. */
function NotebookPreview({
  notebook,
  renderers,
  trans
}: {
  notebook: Extract<Preview, { kind: 'notebook' }>['notebook'];
} & Pick<DatasetProps, 'renderers' | 'trans'>) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const place = box.current;
    let view: Widget | null = null;
    let wanted = true;
    void import('../run/notebook').then(({ NotebookView }) => {
      if (wanted && place) {
        const replay = new Replay();
        view = new NotebookView(replay, { ...renderers, trans });
        Widget.attach(view, place);
        replay.load(notebook);
      }
    });
    return () => {
      wanted = false;
      if (view && !view.node.isConnected) {
        // The page took it out already, and told nobody.
        MessageLoop.sendMessage(view, Widget.Msg.AfterDetach);
      }
      view?.dispose();
    };
  }, [notebook, renderers, trans]);
  return <div ref={box} className="nabla-Preview-notebook" data-nabla="preview-notebook" />;
}

function Shown(props: DatasetProps & { file: DatasetFile; preview: Preview }) {
  const { file, preview, renderers, trans } = props;
  switch (preview.kind) {
    case 'table':
      return <TableView {...preview} trans={trans} />;
    case 'image':
      return <ImageView image={preview.image} name={nameOf(file.path)} trans={trans} />;
    case 'notebook':
      return <NotebookPreview notebook={preview.notebook} renderers={renderers} trans={trans} />;
    case 'text':
      return (
        <>
          <TextView {...renderers} text={preview.text} path={file.path} />
          {preview.cut && (
            <p className="nabla-Quiet nabla-Preview-note">
              {trans.__('The beginning of %1.', bytes(file.size))}
            </p>
          )}
        </>
      );
    default:
      return (
        <p className="nabla-Quiet nabla-Preview-note" data-nabla="preview-none">
          {preview.kind === 'large'
            ? trans.__('Too large to be shown here.')
            : trans.__('No preview: this is no text, table, image or notebook.')}
        </p>
      );
  }
}

/** What is in a file, as far as that is shown without fetching all of it. */
export function FilePreview(
  props: DatasetProps & { version: DatasetVersion; file: DatasetFile; onClose: () => void }
) {
  const { model, version, file, trans, onClose } = props;
  const { path, md5, size } = file;
  const [failed, setFailed] = useState<string | null>(null);
  const { value, error } = useLoaded(
    () =>
      look(
        (wanted, most) => model.routes.file(model.id, version.name, wanted, { bytes: most }),
        file
      ).then(preview => ({ md5, path, preview })),
    `${path} ${md5}`
  );
  const preview = value?.path === path && value.md5 === md5 ? value.preview : null;
  const save = async (): Promise<void> => {
    try {
      const response = await model.routes.file(model.id, version.name, path);
      download(await response.blob(), nameOf(path));
    } catch (reason) {
      setFailed((reason as Error).message);
    }
  };
  return (
    <section className="nabla-Preview" data-nabla="preview" data-path={path} aria-label={path}>
      <header>
        <b title={path}>{nameOf(path)}</b>
        <span className="nabla-Quiet">
          {bytes(size)} · <code title={trans.__('MD5 of its bytes')}>{md5.slice(0, 8)}</code>
        </span>
        {size <= DOWNLOAD && (
          <IconButton
            name="file-download"
            icon={downloadIcon}
            label={trans.__('Download %1', path)}
            onClick={() => void save()}
          />
        )}
        <IconButton
          name="preview-close"
          icon={closeIcon}
          label={trans.__('Close the preview')}
          onClick={onClose}
        />
      </header>
      <ErrorLine message={failed ?? error} />
      {size > DOWNLOAD && (
        <p className="nabla-Quiet nabla-Preview-note">
          {trans.__('Download it with:')}{' '}
          <code>{`nabla datasets files get --id ${model.reference} --source-path ${JSON.stringify(path)} --target-path .`}</code>
        </p>
      )}
      {preview ? (
        <Shown {...props} preview={preview} />
      ) : (
        !error && <p className="nabla-Quiet nabla-Preview-note">{trans.__('Fetching…')}</p>
      )}
    </section>
  );
}
