import { checkIcon, copyIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { useRef, useState } from 'react';
import { Button } from './parts';

/** Put text into the clipboard; tells whether it is there. */
export function copied(text: string): Promise<boolean> {
  // A page that is not served over TLS has no clipboard but the old one.
  if (navigator.clipboard) {
    return navigator.clipboard.writeText(text).then(
      () => true,
      () => false
    );
  }
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  return Promise.resolve(done);
}

/** Text to be taken away: a field that is selected as a whole, and a button that copies it. */
export function CopyField(props: {
  name: string;
  text: string;
  label: string;
  trans: TranslationBundle;
}) {
  const { name, text, label, trans } = props;
  const [done, setDone] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const copy = (): void => {
    field.current?.select();
    void copied(text).then(setDone);
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
        icon={done ? checkIcon : copyIcon}
        label={done ? trans.__('Copied') : trans.__('Copy')}
        onClick={copy}
      />
      <span className="nabla-Hidden" role="status">
        {done ? trans.__('Copied') : ''}
      </span>
    </div>
  );
}
