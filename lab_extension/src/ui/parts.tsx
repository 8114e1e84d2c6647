import { launcherIcon, type LabIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { useEffect, useState, type ReactNode } from 'react';
import type { Run } from '../generated/api';
import { runSeconds, stateLabel } from '../model/states';
import { ago, exact, ticking } from './format';
import { useNow } from './hooks';

/** A moment as "3 min ago", with the exact time on hover. */
export function Ago({ time, trans }: { time: string | number; trans: TranslationBundle }) {
  const now = useNow(30_000);
  return (
    <time dateTime={new Date(time).toISOString()} title={exact(time)}>
      {ago(time, trans, now)}
    </time>
  );
}

/** How long a run has been going, ticking, or how long it took. */
export function Elapsed({ run }: { run: Run }) {
  const now = useNow(run.started && !run.finished ? 1000 : 0);
  const seconds = runSeconds(run, now);
  return seconds === null ? null : <>{ticking(seconds)}</>;
}

/** The dot that tells a run's state; its label is for those who do not see colours. */
export function StateDot({ run, trans }: { run: Run; trans: TranslationBundle }) {
  const label = stateLabel(run, trans);
  return <i className="nabla-Dot" data-state={run.state} role="img" aria-label={label} />;
}

/** A sentence on what went wrong. */
export function ErrorLine({ message }: { message: string | null }) {
  return message ? (
    <p className="nabla-Error" role="alert" data-nabla="error">
      {message}
    </p>
  ) : null;
}

export interface ButtonProps {
  name: string;
  label: string;
  onClick: () => void;
  icon?: LabIcon;
  primary?: boolean;
  disabled?: boolean;
  title?: string;
  /** Of a button that opens something: whether it is open. */
  pressed?: boolean;
}

/** A button with a word on it. */
export function Button({
  name,
  label,
  onClick,
  icon: Icon,
  primary,
  disabled,
  title,
  pressed
}: ButtonProps) {
  return (
    <button
      type="button"
      className={primary ? 'nabla-Button nabla-mod-primary' : 'nabla-Button'}
      data-nabla={name}
      onClick={onClick}
      disabled={disabled}
      title={title}
      aria-expanded={pressed}
    >
      {Icon && <Icon.react tag="span" className="nabla-Button-icon" />}
      {label}
    </button>
  );
}

/** A page of the service, which opens beside JupyterLab. */
export function PageLink({ name, href, label }: { name: string; href: string; label: string }) {
  return (
    <a className="nabla-Button" data-nabla={name} href={href} target="_blank" rel="noopener">
      {label}
      <launcherIcon.react tag="span" className="nabla-Button-icon" />
    </a>
  );
}

/** A button that is only an icon; its label is read out and shown on hover. */
export function IconButton({ name, label, onClick, icon: Icon }: ButtonProps & { icon: LabIcon }) {
  return (
    <button
      type="button"
      className="nabla-IconButton"
      data-nabla={name}
      aria-label={label}
      title={label}
      onClick={event => {
        event.stopPropagation();
        onClick();
      }}
    >
      <Icon.react tag="span" />
    </button>
  );
}

/** Text that becomes a field where it stands. Enter keeps the new text, Escape the old. */
export function InlineEdit(props: {
  name: string;
  value: string;
  label: string;
  placeholder: string;
  className: string;
  multiline?: boolean;
  onSave: (value: string) => Promise<void>;
}) {
  const [draft, setDraft] = useState<string | null>(null);
  if (draft === null) {
    return (
      <button
        type="button"
        className={`nabla-InlineEdit ${props.className}`}
        data-nabla={props.name}
        aria-label={props.label}
        title={props.label}
        onClick={() => setDraft(props.value)}
      >
        {props.value || <span className="nabla-Quiet">{props.placeholder}</span>}
      </button>
    );
  }
  const save = (): void => {
    setDraft(null);
    if (draft.trim() !== props.value) {
      void props.onSave(draft.trim());
    }
  };
  const field = {
    className: `nabla-Input ${props.className}`,
    'data-nabla': `${props.name}-input`,
    'aria-label': props.label,
    value: draft,
    autoFocus: true,
    onChange: (event: { target: { value: string } }) => setDraft(event.target.value),
    onBlur: save,
    onKeyDown: (event: React.KeyboardEvent) => {
      if (event.key === 'Escape') {
        event.stopPropagation();
        setDraft(null);
      } else if (event.key === 'Enter' && !event.shiftKey) {
        event.preventDefault();
        save();
      }
    }
  };
  return props.multiline ? <textarea rows={3} {...field} /> : <input type="text" {...field} />;
}

/** A list of sub tabs, moved through with the arrow keys. */
export function Tabs<T extends string>(props: {
  tabs: readonly { id: T; label: string; count?: number | null }[];
  current: T;
  label: string;
  onSelect: (id: T) => void;
}) {
  const move = (event: React.KeyboardEvent<HTMLElement>): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) {
      const at = props.tabs.findIndex(tab => tab.id === props.current);
      const next = props.tabs[(at + step + props.tabs.length) % props.tabs.length];
      if (next) {
        props.onSelect(next.id);
        event.currentTarget.querySelector<HTMLElement>(`[data-nabla="tab-${next.id}"]`)?.focus();
      }
    }
  };
  return (
    <div className="nabla-Tabs" role="tablist" aria-label={props.label} onKeyDown={move}>
      {props.tabs.map(({ id, label, count }) => (
        <button
          key={id}
          type="button"
          role="tab"
          data-nabla={`tab-${id}`}
          aria-selected={id === props.current}
          tabIndex={id === props.current ? 0 : -1}
          onClick={() => props.onSelect(id)}
        >
          {label}
          {count ? <span className="nabla-Quiet"> {count.toLocaleString()}</span> : null}
        </button>
      ))}
    </div>
  );
}

/** A question in the place of the button that asks it. */
export function Confirm(props: {
  question: ReactNode;
  yes: string;
  no: string;
  onYes: () => void;
  onNo: () => void;
}) {
  useEffect(() => {
    const escape = (event: KeyboardEvent): void => {
      if (event.key === 'Escape') {
        props.onNo();
      }
    };
    document.addEventListener('keydown', escape);
    return () => document.removeEventListener('keydown', escape);
  });
  return (
    <div className="nabla-Confirm" role="alertdialog" data-nabla="confirm" onClick={stop}>
      <span>{props.question}</span>
      <button
        type="button"
        className="nabla-Button nabla-mod-danger"
        data-nabla="confirm-yes"
        autoFocus
        onClick={props.onYes}
      >
        {props.yes}
      </button>
      <button type="button" className="nabla-Button" data-nabla="confirm-no" onClick={props.onNo}>
        {props.no}
      </button>
    </div>
  );
}

function stop(event: React.SyntheticEvent): void {
  event.stopPropagation();
}
