import { useState } from 'react';
import { isOpen } from '../../model/dataset';
import { bytes } from '../../ui/format';
import { useModel } from '../../ui/hooks';
import { Button, ErrorLine } from '../../ui/parts';
import type { DatasetProps } from './page';

/** What an uncommitted version still needs: a message, and Commit. */
export function CommitBar({ model, upload, trans }: DatasetProps) {
  useModel(upload);
  const { version } = model;
  const [messages, setMessages] = useState<Record<string, string>>({});
  if (version?.state === 'Committing') {
    return (
      <div className="nabla-CommitBar" data-nabla="committing">
        <span role="status">{trans.__('Committing…')}</span>
        <progress className="nabla-Bar" />
      </div>
    );
  }
  if (!version || !isOpen(version) || !model.writable) {
    return null;
  }
  const message = messages[version.id] ?? version.message;
  const sending = upload.running && upload.version === version.name;
  const commit = (): void => {
    upload.clear();
    void model.commit(version, message.trim());
  };
  return (
    <form
      className="nabla-CommitBar"
      data-nabla="commit-bar"
      onSubmit={event => {
        event.preventDefault();
        commit();
      }}
    >
      <span>
        {trans._n(
          'Not committed: %2 file, %3',
          'Not committed: %2 files, %3',
          version.files,
          version.files.toLocaleString(),
          bytes(version.size)
        )}
      </span>
      <input
        className="nabla-Input"
        data-nabla="commit-message"
        aria-label={trans.__('What this version is')}
        placeholder={trans.__('What this version is')}
        value={message}
        maxLength={10_000}
        onChange={event => setMessages({ ...messages, [version.id]: event.target.value })}
      />
      <Button
        name="commit"
        primary
        label={trans.__('Commit')}
        title={
          sending
            ? trans.__('Wait for the upload to end')
            : trans.__('Fix these files for good, as the newest version')
        }
        disabled={sending || !version.files}
        onClick={commit}
      />
      <ErrorLine message={version.failure || null} />
    </form>
  );
}
