import type { TranslationBundle } from '@jupyterlab/translation';
import { useState, type ReactNode } from 'react';
import { ErrorLine } from './parts';

/** A name, Enter, and something new is there; Escape thinks better of it. */
export function NameForm(props: {
  /** What is made, as its parts are marked in the page: `dataset`, `project`. */
  mark: string;
  label: string;
  placeholder: string;
  /** Make it; what goes wrong is shown in the form, which stays. */
  create: (name: string) => Promise<void>;
  onDone: () => void;
  trans: TranslationBundle;
  className?: string;
  children?: ReactNode;
}) {
  const { mark, label, placeholder, create, onDone, trans } = props;
  const [name, setName] = useState('');
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = (): void => {
    setBusy(true);
    create(name.trim()).catch((reason: Error) => {
      setError(reason.message);
      setBusy(false);
    });
  };
  return (
    <form
      className={`nabla-NewProject ${props.className ?? ''}`}
      onSubmit={event => {
        event.preventDefault();
        submit();
      }}
      onKeyDown={event => event.key === 'Escape' && onDone()}
    >
      <input
        className="nabla-Input"
        data-nabla={`new-${mark}-name`}
        aria-label={label}
        placeholder={placeholder}
        value={name}
        autoFocus
        onChange={event => setName(event.target.value)}
      />
      <button
        type="submit"
        className="nabla-Button nabla-mod-primary"
        data-nabla={`new-${mark}-create`}
        disabled={busy || !name.trim()}
      >
        {trans.__('Create')}
      </button>
      {props.children}
      <ErrorLine message={error} />
    </form>
  );
}
