import { addIcon, closeIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { useEffect, useId, useState } from 'react';
import { IconButton } from './parts';

interface Props {
  tags: readonly string[];
  trans: TranslationBundle;
  /** Whether they may be changed here. */
  editable: boolean;
  /** Tags in use that begin like what was typed. */
  suggest: (text: string) => Promise<readonly string[]>;
  onChange: (tags: string[]) => void;
}

/** Tags as chips, each with a way to remove it, and one more that becomes a field with suggestions. */
export function TagEditor({ tags, trans, editable, suggest, onChange }: Props) {
  const [adding, setAdding] = useState(false);
  return (
    <ul className="nabla-Tags" aria-label={trans.__('Tags')} data-nabla="tags">
      {tags.map(tag => (
        <li key={tag} className="nabla-Chip" data-nabla="tag">
          {tag}
          {editable && (
            <IconButton
              name="tag-remove"
              icon={closeIcon}
              label={trans.__('Remove the tag %1', tag)}
              onClick={() => onChange(tags.filter(other => other !== tag))}
            />
          )}
        </li>
      ))}
      {editable && (
        <li>
          {adding ? (
            <TagField
              known={tags}
              trans={trans}
              suggest={suggest}
              onDone={tag => {
                setAdding(false);
                if (tag && !tags.includes(tag)) {
                  onChange([...tags, tag]);
                }
              }}
            />
          ) : (
            <button
              type="button"
              className="nabla-Chip nabla-mod-add"
              data-nabla="tag-add"
              onClick={() => setAdding(true)}
            >
              <addIcon.react tag="span" /> {trans.__('Tag')}
            </button>
          )}
        </li>
      )}
    </ul>
  );
}

function TagField(props: {
  known: readonly string[];
  trans: TranslationBundle;
  suggest: Props['suggest'];
  onDone: (tag: string | null) => void;
}) {
  const { known, trans, suggest, onDone } = props;
  const [draft, setDraft] = useState('');
  const [offers, setOffers] = useState<readonly string[]>([]);
  const [active, setActive] = useState(-1);
  const list = useId();
  useEffect(() => {
    let wanted = true;
    const timer = setTimeout(() => {
      suggest(draft.trim()).then(
        found => wanted && setOffers(found.filter(tag => !known.includes(tag)).slice(0, 8)),
        () => wanted && setOffers([])
      );
    }, 120);
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
    // `suggest` and `known` are new at each rendering of the parent.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [draft]);
  const keys = (event: React.KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setActive(Math.max(-1, Math.min(offers.length - 1, active + step)));
    } else if (event.key === 'Enter') {
      event.preventDefault();
      onDone(offers[active] ?? draft.trim());
    } else if (event.key === 'Escape') {
      event.stopPropagation();
      onDone(null);
    }
  };
  return (
    <span className="nabla-TagField">
      <input
        className="nabla-Input nabla-mod-tag"
        data-nabla="tag-input"
        role="combobox"
        aria-expanded={offers.length > 0}
        aria-controls={list}
        aria-activedescendant={active < 0 ? undefined : `${list}-${active}`}
        aria-label={trans.__('New tag')}
        maxLength={60}
        value={draft}
        autoFocus
        onChange={event => {
          setDraft(event.target.value.replace(',', ''));
          setActive(-1);
        }}
        onBlur={() => onDone(draft.trim())}
        onKeyDown={keys}
      />
      {offers.length > 0 && (
        <ul id={list} role="listbox" className="nabla-Offers" aria-label={trans.__('Tags in use')}>
          {offers.map((tag, index) => (
            <li
              key={tag}
              id={`${list}-${index}`}
              role="option"
              data-nabla="tag-offer"
              aria-selected={index === active}
              className={index === active ? 'nabla-mod-active' : ''}
              // The field's loss of the cursor would take what was typed instead.
              onPointerDown={event => {
                event.preventDefault();
                onDone(tag);
              }}
            >
              {tag}
            </li>
          ))}
        </ul>
      )}
    </span>
  );
}
