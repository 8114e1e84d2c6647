import { checkIcon, copyIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { useRef, useState } from 'react';
import { Button } from './parts';

/** Text to be taken away: a field that is selected as a whole, and a button that copies it. */
export function CopyField(props: {
  name: string;
  text: string;
  label: string;
  trans: TranslationBundle;
}) {
  const { name, text, label, trans } = props;
  const [copied, setCopied] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const copy = (): void => {
    field.current?.select();
    // A page that is not served over TLS has no clipboard but the old one.
    const done = navigator.clipboard
      ? navigator.clipboard.writeText(text).then(() => true)
      : Promise.resolve(document.execCommand('copy'));
    done.then(setCopied, () => setCopied(false));
  };
  return (
    <div className="nabla-Copy">
      <input
        ref={field}
        className="nabla-Input nabla-mod-code"
        data-nabla={name}
        aria-label={label}
        readOnly
        value={text}
        onFocus={event => event.target.select()}
      />
      <Button
        name={`${name}-copy`}
        icon={copied ? checkIcon : copyIcon}
        label={copied ? trans.__('Copied') : trans.__('Copy')}
        onClick={copy}
      />
      <span className="nabla-Hidden" role="status">
        {copied ? trans.__('Copied') : ''}
      </span>
    </div>
  );
}
