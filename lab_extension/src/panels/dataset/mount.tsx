import { folderIcon } from '@jupyterlab/ui-components';
import { useEffect, useRef, useState } from 'react';
import { isOpen } from '../../model/dataset';
import { Button } from '../../ui/parts';
import type { DatasetProps } from './page';

/** Shows the chosen version beside one's notebooks, and says where it is then. */
export function Mount({ model, trans }: DatasetProps) {
  const [state, setState] = useState<'no' | 'busy' | 'there' | 'failed'>('no');
  const [text, setText] = useState('');
  const wanted = useRef(true);
  useEffect(() => {
    wanted.current = true;
    return () => {
      wanted.current = false;
    };
  }, []);
  const { version } = model;
  const mount = async (): Promise<void> => {
    setState('busy');
    try {
      // The answer waits for a while by itself: asking again at once is no flood.
      let path = await model.mountHere();
      while (path === null && wanted.current) {
        path = await model.mountHere();
      }
      setText(path ?? '');
      setState('there');
    } catch (error) {
      setText((error as Error).message);
      setState('failed');
    }
  };
  return (
    <>
      <Button
        name="dataset-mount"
        icon={folderIcon}
        label={state === 'busy' ? trans.__('Laying it out…') : trans.__('Mount')}
        title={trans.__('Show this version, read-only, as a folder beside your notebooks')}
        disabled={state === 'busy' || !version || isOpen(version)}
        onClick={() => void mount()}
      />
      {(state === 'there' || state === 'failed') && (
        <p
          className={state === 'failed' ? 'nabla-Error nabla-Mount' : 'nabla-Mount'}
          role="status"
          data-nabla="mount-path"
        >
          {state === 'there' ? trans.__('Read it at') : ''}{' '}
          {state === 'there' ? <code>{text}</code> : text}
        </p>
      )}
    </>
  );
}
