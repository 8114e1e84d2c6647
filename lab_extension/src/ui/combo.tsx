import { useEffect, useId, useRef, useState, type ReactNode } from 'react';

const PAUSE = 120;

/** What is offered for a text while the list is open. */
function useOffers<T>(
  open: boolean,
  value: string,
  suggest: (text: string) => Promise<readonly T[]>
): readonly T[] {
  const [offers, setOffers] = useState<readonly T[]>([]);
  useEffect(() => {
    if (!open) {
      return;
    }
    let wanted = true;
    const timer = setTimeout(() => {
      suggest(value).then(
        found => wanted && setOffers(found),
        () => wanted && setOffers([])
      );
    }, PAUSE);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
    // `suggest` is new at each rendering of the parent.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [value, open]);
  return offers;
}

/** A field for a text, with what it may mean to choose from; asked for once somebody is in the field. */
export function Combo<T>(props: {
  name: string;
  label: string;
  value: string;
  placeholder?: string;
  invalid?: boolean;
  autoFocus?: boolean;
  suggest: (text: string) => Promise<readonly T[]>;
  /** The text that an offer stands for. */
  text: (offer: T) => string;
  show: (offer: T) => ReactNode;
  onChange: (value: string) => void;
}) {
  const { value, suggest, text, onChange } = props;
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const list = useId();
  const box = useRef<HTMLUListElement>(null);
  const offers = useOffers(open, value, suggest);
  const shown = open && offers.length > 0;
  useEffect(() => {
    const element = box.current?.children[active] ?? box.current;
    element?.scrollIntoView({ block: 'nearest' });
  }, [shown, active]);
  const close = (): void => {
    setOpen(false);
    setActive(-1);
  };
  const choose = (offer: T): void => {
    onChange(text(offer));
    close();
  };
  const keys = (event: React.KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const offer = open ? offers[active] : undefined;
    if (step) {
      event.preventDefault();
      setOpen(true);
      setActive(Math.max(-1, Math.min(offers.length - 1, active + step)));
    } else if (event.key === 'Enter' && offer && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      choose(offer);
    } else if (event.key === 'Escape' && open) {
      event.stopPropagation();
      close();
    }
  };
  return (
    <span className="nabla-Combo">
      <input
        className="nabla-Input nabla-mod-code"
        data-nabla={props.name}
        role="combobox"
        aria-expanded={shown}
        aria-autocomplete="list"
        aria-controls={list}
        aria-activedescendant={shown && active >= 0 ? `${list}-${active}` : undefined}
        aria-label={props.label}
        aria-invalid={props.invalid}
        placeholder={props.placeholder}
        spellCheck={false}
        autoComplete="off"
        autoFocus={props.autoFocus}
        value={value}
        onFocus={() => setOpen(true)}
        onClick={() => setOpen(true)}
        onBlur={close}
        onChange={event => {
          onChange(event.target.value);
          setOpen(true);
          setActive(-1);
        }}
        onKeyDown={keys}
      />
      {shown && (
        <ul ref={box} id={list} role="listbox" className="nabla-Offers" aria-label={props.label}>
          {offers.map((offer, index) => (
            <li
              key={text(offer)}
              id={`${list}-${index}`}
              role="option"
              data-nabla={`${props.name}-offer`}
              aria-selected={index === active}
              className={index === active ? 'nabla-mod-active' : ''}
              // The field keeps the cursor.
              onPointerDown={event => {
                event.preventDefault();
                choose(offer);
              }}
            >
              {props.show(offer)}
            </li>
          ))}
        </ul>
      )}
    </span>
  );
}
