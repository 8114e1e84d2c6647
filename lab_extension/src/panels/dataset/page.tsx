import type { TranslationBundle } from '@jupyterlab/translation';
import { useState, type ReactNode } from 'react';
import type { DatasetModel } from '../../model/dataset';
import { folderOf } from '../../model/tree';
import { dropped, into, type Incoming, type UploadModel } from '../../model/upload';
import { useModel } from '../../ui/hooks';
import { ErrorLine, Tabs } from '../../ui/parts';
import type { Navigation } from '../navigation';
import { CommitBar } from './commit';
import { Compare } from './compare';
import { Files } from './files';
import { DatasetHeader } from './header';
import type { Renderers } from './index';
import { Lineage } from './lineage';
import { PickFiles, UploadPanel, useUploading } from './upload';
import { Timeline } from './versions';

export interface DatasetProps {
  model: DatasetModel;
  upload: UploadModel;
  renderers: Renderers;
  suggestTags: (text: string) => Promise<readonly string[]>;
  nav: Navigation;
  trans: TranslationBundle;
}

type DatasetTab = 'files' | 'compare' | 'lineage';

/** The folder of the tree that something is held over; "": none. */
function folderUnder({ target }: React.DragEvent): string {
  const line = (target as Element).closest<HTMLElement>('[data-nabla="file"]');
  const path = line?.dataset.path ?? '';
  return line?.dataset.type === 'folder' ? path : folderOf(path);
}

/** Takes files and folders that are dropped anywhere on the page, or into a folder of the tree. */
function DropZone(props: {
  model: DatasetModel;
  trans: TranslationBundle;
  onDrop: (files: Incoming[]) => void;
  onError: (message: string) => void;
  children: ReactNode;
}) {
  const { model, trans } = props;
  const [over, setOver] = useState<string | null>(null);
  const aim = (folder: string | null): void => {
    model.tree?.aim(folder ?? '');
    setOver(folder);
  };
  const carries = (event: React.DragEvent): boolean =>
    model.writable && event.dataTransfer.types.includes('Files');
  return (
    <div
      className="nabla-Drop"
      data-nabla="drop-zone"
      onDragOver={event => {
        if (carries(event)) {
          event.preventDefault();
          event.dataTransfer.dropEffect = 'copy';
          aim(folderUnder(event));
        }
      }}
      onDragLeave={event => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) {
          aim(null);
        }
      }}
      onDrop={event => {
        aim(null);
        if (carries(event)) {
          event.preventDefault();
          event.stopPropagation();
          const folder = folderUnder(event);
          dropped(event.dataTransfer).then(
            files => props.onDrop(into(folder, files)),
            (error: Error) => props.onError(error.message)
          );
        }
      }}
    >
      {props.children}
      {over !== null && (
        <div className="nabla-Drop-hint">
          <span data-nabla="drop-hint">
            {over ? trans.__('Drop to upload into %1', `${over}/`) : trans.__('Drop to upload')}
          </span>
        </div>
      )}
    </div>
  );
}

/** What a dataset without a version is told. */
function Empty({ model, trans, onFiles }: DatasetProps & { onFiles: (files: Incoming[]) => void }) {
  return (
    <div className="nabla-Empty nabla-mod-wide" data-nabla="dataset-empty">
      <p>
        {trans.__(
          'No version yet. A version is a set of files that never changes once it is committed; what two versions share is stored once.'
        )}
      </p>
      {model.writable ? (
        <>
          <p>{trans.__('Drop files or folders here, or choose them:')}</p>
          <PickFiles trans={trans} onFiles={onFiles} primary />
          <p className="nabla-Dataset-code">
            {trans.__('From a notebook:')}{' '}
            <code>{`nabla.dataset(${JSON.stringify(model.name)}).commit("./data", message="first")`}</code>
          </p>
        </>
      ) : (
        <p>{trans.__('Somebody with more rights in its team can make one.')}</p>
      )}
    </div>
  );
}

function Shown(props: DatasetProps & { tab: DatasetTab }) {
  const { model, tab } = props;
  const { version } = model;
  if (!version) {
    return (
      <p className="nabla-Quiet nabla-Dataset-pad">{props.trans.__('Fetching the version…')}</p>
    );
  }
  switch (tab) {
    case 'compare':
      return <Compare key={version.id} {...props} version={version} />;
    case 'lineage':
      return <Lineage key={version.id} {...props} version={version} />;
    default:
      return <Files key={version.id} {...props} version={version} />;
  }
}

/** A dataset's page: what it is, its versions, and what is in the one that is chosen. */
export function DatasetPage(props: DatasetProps) {
  const { model, upload, trans } = props;
  useModel(model);
  useModel(model.versions);
  const [tab, setTab] = useState<DatasetTab>('files');
  const uploading = useUploading(model, upload);
  const { dataset, closed, gone } = model;
  if (!dataset || closed) {
    return (
      <div className="nabla-Page" data-nabla={closed ? 'dataset-lost' : 'dataset-loading'}>
        <div className="nabla-Form">
          <ErrorLine
            message={
              gone
                ? trans.__('This dataset was deleted.')
                : model.lost && dataset
                  ? trans.__('You may not see the dataset “%1” any more.', dataset.name)
                  : model.error
            }
          />
          {!closed && !model.error && (
            <p className="nabla-Quiet">{trans.__('Fetching the dataset…')}</p>
          )}
        </div>
      </div>
    );
  }
  const tabs: { id: DatasetTab; label: string; count?: number }[] = [
    { id: 'files', label: trans.__('Files'), count: model.version?.files },
    { id: 'compare', label: trans.__('Compare') },
    { id: 'lineage', label: trans.__('Lineage') }
  ];
  const empty = model.versions.ready && !model.versions.items.length && !model.chosen;
  return (
    <DropZone model={model} trans={trans} onDrop={uploading.take} onError={uploading.fail}>
      <div
        className="nabla-Page nabla-Home nabla-Dataset"
        data-nabla="dataset-page"
        data-id={dataset.id}
      >
        <DatasetHeader {...props} dataset={dataset} empty={empty} onFiles={uploading.take} />
        <UploadPanel {...props} uploading={uploading} />
        {empty ? (
          <Empty {...props} onFiles={uploading.take} />
        ) : (
          <div className="nabla-Dataset-body">
            <Timeline {...props} dataset={dataset} onCompare={() => setTab('compare')} />
            <div className="nabla-Dataset-main">
              <CommitBar {...props} />
              <Tabs
                tabs={tabs}
                current={tab}
                label={trans.__('Views of the version')}
                onSelect={setTab}
              />
              <div className="nabla-Dataset-shown" role="tabpanel">
                <Shown {...props} tab={tab} />
              </div>
            </div>
          </div>
        )}
      </div>
    </DropZone>
  );
}
