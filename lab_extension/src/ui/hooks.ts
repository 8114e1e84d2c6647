import type { ISignal } from '@lumino/signaling';
import { useEffect, useReducer, useState } from 'react';

/**
 * Render again when the model says that it changed: at most once a frame, or `now`, which a field
 * whose text is in the model needs so that the cursor stays where it is.
 */
export function useModel(
  model: { readonly changed: ISignal<unknown, unknown> },
  now = false
): void {
  const [, render] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    let frame = 0;
    const changed = (): void => {
      if (now) {
        render();
        return;
      }
      // A hidden page draws no frames, and needs none.
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        render();
      });
    };
    model.changed.connect(changed);
    changed();
    return () => {
      cancelAnimationFrame(frame);
      model.changed.disconnect(changed);
    };
  }, [model, now]);
}

/** The time, again every `interval` milliseconds; 0: never again. */
export function useNow(interval: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!interval) {
      return;
    }
    const timer = setInterval(() => setNow(Date.now()), interval);
    return () => clearInterval(timer);
  }, [interval]);
  return now;
}

/** What a promise brought: a value, or a sentence on why there is none. */
export interface Loaded<T> {
  value: T | null;
  error: string | null;
}

/** Ask once for something, and again when `key` changes. */
export function useLoaded<T>(ask: () => Promise<T> | null, key: string): Loaded<T> {
  const [answer, setAnswer] = useState<Loaded<T>>({ value: null, error: null });
  useEffect(() => {
    let wanted = true;
    ask()?.then(
      value => wanted && setAnswer({ value, error: null }),
      (error: Error) => wanted && setAnswer(last => ({ value: last.value, error: error.message }))
    );
    return () => {
      wanted = false;
    };
    // `ask` is a new function at each rendering: `key` says when the question is another.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [key]);
  return answer;
}
