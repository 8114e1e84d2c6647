import { searchIcon } from '@jupyterlab/ui-components';
import { useState } from 'react';
import type { DatasetFile, DatasetVersion } from '../../generated/api';
import { isOpen } from '../../model/dataset';
import { useModel } from '../../ui/hooks';
import { ErrorLine } from '../../ui/parts';
import type { DatasetProps } from './page';
import { FilePreview } from './preview';
import { Tree } from './tree';

/** The files of a version, and beside them what is in the one that is chosen. */
export function Files(props: DatasetProps & { version: DatasetVersion }) {
  const { model, version, trans } = props;
  const [shown, setShown] = useState<DatasetFile | null>(null);
  const tree = model.tree;
  if (!tree) {
    return null;
  }
  return (
    <div className="nabla-Files" data-preview={shown !== null}>
      <div className="nabla-Files-tree">
        <Search {...props} />
        <ErrorLine message={tree.error} />
        {version.warnings.map(warning => (
          <p key={warning} className="nabla-Warning">
            {warning}
          </p>
        ))}
        <Tree
          tree={tree}
          label={trans.__('Files of version %1', version.name)}
          trans={trans}
          onOpen={setShown}
          onRemove={
            isOpen(version) && model.writable ? path => void model.removeFile(path) : undefined
          }
        />
      </div>
      {shown ? (
        <FilePreview {...props} file={shown} onClose={() => setShown(null)} />
      ) : (
        <p className="nabla-Quiet nabla-Files-none">
          {trans.__('Choose a file to look into it. Only what is shown is fetched.')}
        </p>
      )}
    </div>
  );
}

function Search({ model, trans }: DatasetProps) {
  const { tree } = model;
  const fallback = tree ?? model.versions;
  useModel(fallback, true);
  return tree ? (
    <label className="nabla-Files-search">
      <searchIcon.react tag="span" />
      <input
        type="search"
        className="nabla-Input"
        data-nabla="files-search"
        aria-label={trans.__('Find files by their path')}
        placeholder={trans.__('Find files by their path')}
        spellCheck={false}
        value={tree.text}
        onChange={event => tree.search(event.target.value)}
      />
    </label>
  ) : null;
}
