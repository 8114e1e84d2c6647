import { checkIcon, copyIcon, deleteIcon } from '@jupyterlab/ui-components';
import { useState } from 'react';
import type { Dataset } from '../../generated/api';
import type { Incoming } from '../../model/upload';
import { newest } from '../../model/datasets';
import { copied } from '../../ui/copy';
import { bytes } from '../../ui/format';
import { Ago, Button, Confirm, ErrorLine, InlineEdit } from '../../ui/parts';
import { TagEditor } from '../../ui/tags';
import { Mount } from './mount';
import type { DatasetProps } from './page';
import { PickFiles } from './upload';

type Props = DatasetProps & { dataset: Dataset };

/** A text that a press copies. */
function CopyChip({
  name,
  text,
  title,
  trans
}: {
  name: string;
  text: string;
  title: string;
} & Pick<Props, 'trans'>) {
  const [done, setDone] = useState(false);
  const Icon = done ? checkIcon : copyIcon;
  return (
    <button
      type="button"
      className="nabla-CopyChip"
      data-nabla={name}
      title={done ? trans.__('Copied') : title}
      aria-label={`${title}: ${text}`}
      onBlur={() => setDone(false)}
      onClick={() => void copied(text).then(setDone)}
    >
      <code>{text}</code>
      <Icon.react tag="span" />
      <span className="nabla-Hidden" role="status">
        {done ? trans.__('Copied') : ''}
      </span>
    </button>
  );
}

/** How the chosen version is read from elsewhere. */
function References({ model, trans }: Props) {
  const { reference } = model;
  return (
    <div className="nabla-References">
      <CopyChip
        name="copy-reference"
        text={reference}
        title={trans.__('Copy the reference')}
        trans={trans}
      />
      <CopyChip
        name="copy-python"
        text={`nabla.dataset(${JSON.stringify(reference)})`}
        title={trans.__('Copy as Python: gives a local path')}
        trans={trans}
      />
      <CopyChip
        name="copy-cli"
        text={`nabla datasets files get --id ${reference} --target-path ./${model.dataset?.name ?? 'data'}`}
        title={trans.__('Copy as a command')}
        trans={trans}
      />
    </div>
  );
}

function Facts({ model, dataset, nav, trans }: Props) {
  const { projects } = model;
  return (
    <p className="nabla-Facts">
      <span>
        {projects.isOurs(dataset) ? (
          <button
            type="button"
            className="nabla-Link"
            data-nabla="open-team"
            onClick={() => nav.openTeam(dataset.team)}
          >
            {projects.teamName(dataset)}
          </button>
        ) : (
          trans.__('public: everybody here may read it')
        )}
      </span>
      <span>{trans._n('%1 version', '%1 versions', dataset.versions)}</span>
      {dataset.latest && (
        <span>
          {trans._n(
            '%2: %3 file, %4',
            '%2: %3 files, %4',
            dataset.files,
            newest(dataset),
            dataset.files.toLocaleString(),
            bytes(dataset.size)
          )}
        </span>
      )}
      {model.storage && <span>{trans.__('stored in “%1”', model.storage)}</span>}
      <span>
        {trans.__('made by %1', dataset.owner)} <Ago time={dataset.created} trans={trans} />
      </span>
      <span>
        <code>{dataset.id}</code>
      </span>
    </p>
  );
}

/** Name, references, facts, tags and verbs of a dataset. */
export function DatasetHeader(
  props: Props & {
    /** Whether there is no version yet: then the page itself says how to begin. */
    empty: boolean;
    onFiles: (files: Incoming[]) => void;
  }
) {
  const { model, dataset, nav, trans } = props;
  const [asking, setAsking] = useState(false);
  const { writable } = model;
  return (
    <header className="nabla-Head nabla-HomeHeader">
      <div>
        <h1>
          {writable ? (
            <InlineEdit
              name="dataset-name"
              className="nabla-mod-title"
              value={dataset.name}
              label={trans.__('Rename the dataset')}
              placeholder={trans.__('Name')}
              onSave={name => model.change({ name }).then(() => undefined)}
            />
          ) : (
            dataset.name
          )}
        </h1>
        {writable ? (
          <InlineEdit
            name="dataset-description"
            className="nabla-mod-text"
            value={dataset.description}
            label={trans.__('Describe the dataset')}
            placeholder={trans.__('Describe what is in it and where it comes from')}
            multiline
            onSave={description => model.change({ description }).then(() => undefined)}
          />
        ) : (
          <p>{dataset.description}</p>
        )}
        <Facts {...props} />
      </div>
      {asking ? (
        <Confirm
          question={trans._n(
            'Delete the dataset with its version? Runs and notebooks that name it will not find it.',
            'Delete the dataset with its %1 versions? Runs and notebooks that name it will not find it.',
            dataset.versions
          )}
          yes={trans.__('Delete all of it')}
          no={trans.__('Keep')}
          onNo={() => setAsking(false)}
          onYes={() => {
            setAsking(false);
            void model.delete().then(done => done && nav.closeTab());
          }}
        />
      ) : (
        <div className="nabla-Head-actions">
          {writable && (
            <Button
              name="dataset-delete"
              icon={deleteIcon}
              label={trans.__('Delete')}
              onClick={() => setAsking(true)}
            />
          )}
          {dataset.latest && <Mount key={model.chosen} {...props} />}
          {writable && !props.empty && <PickFiles trans={trans} onFiles={props.onFiles} primary />}
        </div>
      )}
      <div className="nabla-Dataset-line">
        {model.chosen && <References {...props} />}
        <TagEditor
          tags={dataset.tags}
          trans={trans}
          editable={writable}
          suggest={props.suggestTags}
          onChange={tags => void model.change({ tags })}
        />
      </div>
      <ErrorLine message={model.error ?? model.versions.error} />
    </header>
  );
}
