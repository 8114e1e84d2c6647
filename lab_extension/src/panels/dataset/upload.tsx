import { fileUploadIcon, folderIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { useEffect, useRef, useState } from 'react';
import { isOpen, type DatasetModel } from '../../model/dataset';
import { newest } from '../../model/datasets';
import { picked, type Incoming, type UploadItem, type UploadModel } from '../../model/upload';
import { bytes } from '../../ui/format';
import { useModel } from '../../ui/hooks';
import { Button, ErrorLine } from '../../ui/parts';
import type { DatasetProps } from './page';

const SHOWN = 5;
const SOON = 700;

/** Buttons that let one choose files, or a folder. */
export function PickFiles(props: {
  trans: TranslationBundle;
  onFiles: (files: Incoming[]) => void;
  primary?: boolean;
}) {
  const { trans, onFiles, primary } = props;
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const take = (event: React.ChangeEvent<HTMLInputElement>): void => {
    const chosen = event.target.files ? picked(event.target.files) : [];
    event.target.value = '';
    if (chosen.length) {
      onFiles(chosen);
    }
  };
  const common = { type: 'file', multiple: true, hidden: true, onChange: take } as const;
  return (
    <span className="nabla-Pick">
      <input ref={files} data-nabla="upload-files-input" {...common} />
      <input
        ref={folder}
        data-nabla="upload-folder-input"
        {...common}
        {...{ webkitdirectory: '' }}
      />
      <Button
        name="upload-folder"
        icon={folderIcon}
        label={trans.__('Upload a folder')}
        onClick={() => folder.current?.click()}
      />
      <Button
        name="upload-files"
        primary={primary}
        icon={fileUploadIcon}
        label={trans.__('Upload files')}
        title={trans.__('Or drop files and folders anywhere on this page')}
        onClick={() => files.current?.click()}
      />
    </span>
  );
}

/** Files that were chosen, until it is said what they are added to. */
export interface Uploading {
  pending: Incoming[] | null;
  error: string | null;
  take: (files: Incoming[]) => void;
  fail: (message: string) => void;
  /** Begin: into the version `into`, or a new one with the files of `base`, or an empty one. */
  begin: (target: { into: string } | { base: string | null }) => void;
  drop: () => void;
}

export function useUploading(model: DatasetModel, upload: UploadModel): Uploading {
  const [pending, setPending] = useState<Incoming[] | null>(null);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    let timer: number | undefined;
    const entered = (): void => {
      timer ??= window.setTimeout(() => {
        timer = undefined;
        void model.refreshFiles();
      }, SOON);
    };
    upload.entered.connect(entered);
    return () => {
      clearTimeout(timer);
      upload.entered.disconnect(entered);
    };
  }, [model, upload]);
  const send = async (files: Incoming[], target: { into: string } | { base: string | null }) => {
    setPending(null);
    setError(null);
    try {
      const into = 'into' in target ? target.into : (await model.begin(target.base)).name;
      model.choose(into);
      await upload.start(into, files);
    } catch (reason) {
      setError((reason as Error).message);
    }
  };
  return {
    pending,
    error,
    fail: setError,
    drop: () => setPending(null),
    begin: target => void send(pending ?? [], target),
    take: files => {
      const { version } = model;
      if (!files.length) {
        setError(null);
      } else if (version && isOpen(version)) {
        void send(files, { into: version.name });
      } else if (!model.versions.items.length) {
        void send(files, { base: null });
      } else {
        setPending([...(pending ?? []), ...files]);
      }
    }
  };
}

/** What the chosen files are to be added to: asked once, since a version never changes later. */
function Choice({ model, uploading, trans }: DatasetProps & { uploading: Uploading }) {
  const { dataset, draft } = model;
  const [target, setTarget] = useState(draft ? 'draft' : dataset?.latest ? 'latest' : 'empty');
  const files = uploading.pending ?? [];
  const size = files.reduce((sum, { file }) => sum + file.size, 0);
  const options: [string, string][] = [];
  if (draft) {
    options.push(['draft', trans.__('Add to your uncommitted version %1', draft.name)]);
  }
  if (dataset?.latest) {
    options.push([
      'latest',
      trans.__('A new version: the files of %1, with these added or replaced', newest(dataset))
    ]);
  }
  options.push(['empty', trans.__('A new version with only these files')]);
  const begin = (): void =>
    uploading.begin(
      target === 'draft' && draft
        ? { into: draft.name }
        : { base: target === 'latest' ? 'latest' : null }
    );
  return (
    <fieldset className="nabla-Upload" data-nabla="upload-choice">
      <legend>
        {trans._n(
          'Upload %2 file, %3',
          'Upload %2 files, %3',
          files.length,
          files.length.toLocaleString(),
          bytes(size)
        )}
      </legend>
      <p className="nabla-Quiet nabla-Upload-path">
        {files
          .slice(0, SHOWN)
          .map(({ path }) => path)
          .join(', ')}
        {files.length > SHOWN && ` ${trans.__('and %1 more', files.length - SHOWN)}`}
      </p>
      {options.map(([id, label]) => (
        <label key={id} className="nabla-Check">
          <input
            type="radio"
            name="nabla-upload-target"
            data-nabla={`upload-into-${id}`}
            checked={target === id}
            onChange={() => setTarget(id)}
          />
          {label}
        </label>
      ))}
      <p>
        <Button name="upload-begin" primary label={trans.__('Upload')} onClick={begin} />{' '}
        <Button name="upload-drop" label={trans.__('Cancel')} onClick={uploading.drop} />
      </p>
    </fieldset>
  );
}

function Line({ item, trans }: { item: UploadItem; trans: TranslationBundle }) {
  const { path, file, sent, state, error } = item;
  return (
    <li data-nabla="upload-item" data-state={state}>
      <span className="nabla-Upload-path" title={path}>
        {path}
      </span>
      {error ? (
        <span className="nabla-mod-bad">{error}</span>
      ) : (
        <>
          <span className="nabla-Quiet">
            {state === 'reading' ? trans.__('reading') : bytes(file.size)}
          </span>
          <progress className="nabla-Bar" max={file.size || 1} value={sent} aria-label={path} />
        </>
      )}
    </li>
  );
}

/** How far an upload is, in all and by file. */
function Progress({ upload, trans }: Pick<DatasetProps, 'upload' | 'trans'>) {
  const { items, done, sent, bytes: all, running, failed, active } = upload;
  return (
    <div className="nabla-Upload" data-nabla="upload-progress">
      <div className="nabla-Upload-head">
        <span role="status">
          {running
            ? trans.__(
                '%1 of %2 files, %3 of %4',
                done.toLocaleString(),
                items.length.toLocaleString(),
                bytes(sent),
                bytes(all)
              )
            : failed.length
              ? trans._n('%1 file is not there', '%1 files are not there', failed.length)
              : trans._n('%2 file uploaded', '%2 files uploaded', done, done.toLocaleString())}
        </span>
        <progress className="nabla-Bar" max={all || 1} value={running ? sent : all} />
        {running ? (
          <Button name="upload-cancel" label={trans.__('Cancel')} onClick={() => upload.cancel()} />
        ) : (
          <>
            {failed.length > 0 && (
              <Button
                name="upload-retry"
                label={trans.__('Try again')}
                onClick={() => void upload.retry()}
              />
            )}
            <Button name="upload-close" label={trans.__('Close')} onClick={() => upload.clear()} />
          </>
        )}
      </div>
      <ul>
        {[...failed.slice(0, SHOWN), ...active.slice(0, SHOWN)].map(item => (
          <Line key={item.path} item={item} trans={trans} />
        ))}
      </ul>
      {failed.length > SHOWN && (
        <p className="nabla-Quiet">{trans.__('and %1 more', failed.length - SHOWN)}</p>
      )}
    </div>
  );
}

/** All that is said about an upload: where it goes, how far it is, what went wrong. */
export function UploadPanel(props: DatasetProps & { uploading: Uploading }) {
  const { upload, uploading } = props;
  useModel(upload);
  if (!uploading.pending && !uploading.error && !upload.items.length) {
    return null;
  }
  return (
    <section className="nabla-Uploads" aria-label={props.trans.__('Upload')}>
      <ErrorLine message={uploading.error} />
      {uploading.pending && <Choice {...props} />}
      {upload.items.length > 0 && <Progress {...props} />}
    </section>
  );
}
