import { addIcon, closeIcon, deleteIcon } from '@jupyterlab/ui-components';
import { useState } from 'react';
import type { Dataset, DatasetVersion } from '../../generated/api';
import { isOpen } from '../../model/dataset';
import { tagsOf } from '../../model/datasets';
import { bytes } from '../../ui/format';
import { Ago, Button, Confirm, IconButton, InlineEdit } from '../../ui/parts';
import type { DatasetProps } from './page';

type Props = DatasetProps & { dataset: Dataset };

/** A tag's name is typed where the chips stand; a tag that another version has moves here. */
function TagField({
  model,
  version,
  trans,
  onDone
}: Props & {
  version: DatasetVersion;
  onDone: () => void;
}) {
  const [text, setText] = useState('');
  const tag = text.trim();
  const elsewhere = model.dataset?.version_tags[tag] as string | undefined;
  const save = (): void => {
    onDone();
    if (tag) {
      void model.setTag(tag, version.name);
    }
  };
  return (
    <>
      <input
        className="nabla-Input nabla-mod-tag"
        data-nabla="version-tag-input"
        aria-label={trans.__('Tag for version %1', version.name)}
        placeholder={trans.__('such as v3')}
        maxLength={100}
        autoFocus
        spellCheck={false}
        value={text}
        onChange={event => setText(event.target.value)}
        onBlur={save}
        onKeyDown={event => {
          event.stopPropagation();
          if (event.key === 'Enter') {
            event.preventDefault();
            save();
          } else if (event.key === 'Escape') {
            onDone();
          }
        }}
      />
      {elsewhere && elsewhere !== version.name && (
        <small className="nabla-Quiet">{trans.__('moves here from %1', elsewhere)}</small>
      )}
    </>
  );
}

function VersionTags(props: Props & { version: DatasetVersion; chosen: boolean }) {
  const { model, dataset, version, chosen, trans } = props;
  const [adding, setAdding] = useState(false);
  const editable = chosen && model.writable && version.state === 'Committed';
  const tags = tagsOf(dataset, version.name);
  return (
    <span className="nabla-Version-tags">
      {version.name === dataset.latest && (
        <span className="nabla-Chip nabla-mod-latest">{trans.__('latest')}</span>
      )}
      {tags.map(tag => (
        <span key={tag} className="nabla-Chip" data-nabla="version-tag">
          {tag}
          {editable && (
            <IconButton
              name="version-tag-remove"
              icon={closeIcon}
              label={trans.__('Remove the tag %1', tag)}
              onClick={() => void model.removeTag(tag)}
            />
          )}
        </span>
      ))}
      {editable &&
        (adding ? (
          <TagField {...props} onDone={() => setAdding(false)} />
        ) : (
          <button
            type="button"
            className="nabla-Chip nabla-mod-add"
            data-nabla="version-tag-add"
            title={trans.__('Give this version a tag, or move one here')}
            onClick={event => {
              event.stopPropagation();
              setAdding(true);
            }}
          >
            <addIcon.react tag="span" /> {trans.__('Tag')}
          </button>
        ))}
    </span>
  );
}

/** Who made it, from which run, and how much it added. */
function Origin({ version, nav, trans }: Props & { version: DatasetVersion }) {
  const { run, run_name: called } = version.made_by;
  const added =
    version.state === 'Committed'
      ? `+${bytes(version.added)}`
      : trans._n(
          '%2 file, %3',
          '%2 files, %3',
          version.files,
          version.files.toLocaleString(),
          bytes(version.size)
        );
  return (
    <small>
      {version.committed_by || version.owner} ·{' '}
      <span title={trans.__('Bytes that it added to the store')}>{added}</span>
      {run && (
        <>
          {' · '}
          <button
            type="button"
            className="nabla-Link"
            data-nabla="version-run"
            onClick={event => {
              event.stopPropagation();
              nav.openRun(run);
            }}
          >
            {called || run}
          </button>
        </>
      )}
    </small>
  );
}

function Item(props: Props & { version: DatasetVersion; onCompare: () => void }) {
  const { model, version, trans } = props;
  const [asking, setAsking] = useState(false);
  const chosen = model.chosen === version.name;
  const { state } = version;
  return (
    <li
      className="nabla-Version"
      data-nabla="version"
      data-id={version.name}
      data-state={state}
      aria-current={chosen || undefined}
      onClick={() => model.choose(version.name)}
    >
      <div className="nabla-Version-line">
        <button type="button" className="nabla-Version-name" data-nabla="version-name">
          <code>{version.name}</code>
        </button>
        <span className="nabla-Quiet">
          {state === 'Committing' ? (
            trans.__('committing…')
          ) : state === 'Deleting' ? (
            trans.__('deleting…')
          ) : (
            <Ago time={version.committed ?? version.created} trans={trans} />
          )}
        </span>
      </div>
      {isOpen(version) && (
        <span className="nabla-Chip nabla-mod-open">{trans.__('not committed')}</span>
      )}
      <VersionTags {...props} chosen={chosen} />
      {chosen && model.writable && state === 'Committed' ? (
        <InlineEdit
          name="version-message"
          className="nabla-Version-message"
          value={version.message}
          label={trans.__('Change the message')}
          placeholder={trans.__('Add a message')}
          multiline
          onSave={message => model.say(version, message).then(() => undefined)}
        />
      ) : (
        version.message && <p className="nabla-Version-message">{version.message}</p>
      )}
      <Origin {...props} />
      {chosen && !asking && (
        <span className="nabla-Version-verbs">
          {state === 'Committed' && (
            <Button name="version-compare" label={trans.__('Compare')} onClick={props.onCompare} />
          )}
          {model.writable && (state === 'Committed' || isOpen(version)) && (
            <Button
              name="version-delete"
              icon={deleteIcon}
              label={trans.__('Delete')}
              onClick={() => setAsking(true)}
            />
          )}
        </span>
      )}
      {asking && (
        <Confirm
          question={trans.__(
            'Delete version %1? What no other version has is removed for good.',
            version.name
          )}
          yes={trans.__('Delete')}
          no={trans.__('Keep')}
          onNo={() => setAsking(false)}
          onYes={() => {
            setAsking(false);
            void model.deleteVersion(version);
          }}
        />
      )}
    </li>
  );
}

/** The versions of a dataset, newest first. */
export function Timeline(props: Props & { onCompare: () => void }) {
  const { model, trans } = props;
  const { versions, chosen } = model;
  const { version } = model;
  const all = versions.items;
  const beyond = version && !all.some(({ name }) => name === chosen);
  return (
    <nav className="nabla-Timeline" aria-label={trans.__('Versions')} data-nabla="versions">
      <ol>
        {all.map(each => (
          <Item key={each.id} {...props} version={each} />
        ))}
        {beyond && <Item key={version.id} {...props} version={version} />}
      </ol>
      {!versions.complete && all.length > 0 && (
        <Button
          name="more-versions"
          label={trans.__('Show older versions')}
          onClick={() => void versions.more()}
        />
      )}
    </nav>
  );
}
