import { useEffect, useState } from 'react';
import type { Removal, Team } from '../../generated/api';
import { Button, ErrorLine } from '../../ui/parts';
import type { TeamProps } from './team';

/** Leaving a team: first what one owns in it and to whom it goes, then the button. */
export function Leave({
  model,
  team,
  nav,
  trans,
  onDone
}: TeamProps & { team: Team; onDone: () => void }) {
  const [plan, setPlan] = useState<Removal | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const failed = (reason: Error): void => {
    setError(reason.message);
    setBusy(false);
  };
  useEffect(() => {
    model.leave(false).then(setPlan, failed);
  }, [model]);
  const owned = plan ? plan.belongings.length + plan.more : 0;
  return (
    <div
      className="nabla-Inline"
      role="group"
      aria-label={trans.__('Leave the team')}
      data-nabla="leave-form"
      onKeyDown={event => event.key === 'Escape' && onDone()}
    >
      <ErrorLine message={error} />
      {plan && (
        <>
          <p>
            {owned
              ? trans._n(
                  'You own %1 thing in %2 that works on without you. It stays with the team and goes to %3.',
                  'You own %1 things in %2 that work on without you. They stay with the team and go to %3.',
                  owned,
                  team.name,
                  plan.transferred_to || trans.__('nobody: nobody else is left')
                )
              : trans.__(
                  'You leave nothing behind in %1 that needs an owner. You will not see its projects any more; an owner can invite you again.',
                  team.name
                )}
          </p>
          {owned > 0 && (
            <ul className="nabla-Belongings">
              {plan.belongings.slice(0, 12).map(({ id, kind, name }) => (
                <li key={id} data-nabla="belonging">
                  {kind.replaceAll('_', ' ')} <b>{name}</b>
                </li>
              ))}
              {owned > 12 && <li className="nabla-Quiet">{trans.__('and %1 more', owned - 12)}</li>}
            </ul>
          )}
        </>
      )}
      <div className="nabla-Line">
        {plan && (
          <button
            type="button"
            className="nabla-Button nabla-mod-danger"
            data-nabla="leave-yes"
            disabled={busy}
            onClick={() => {
              setBusy(true);
              model.leave(true).then(() => nav.closeTab(), failed);
            }}
          >
            {trans.__('Leave %1', team.name)}
          </button>
        )}
        {plan && owned > 0 && model.page && (
          <a
            className="nabla-Button"
            href={`${model.page}/${team.name}`}
            target="_blank"
            rel="noopener"
            data-nabla="leave-elsewhere"
          >
            {trans.__('Choose who gets them…')}
          </a>
        )}
        <Button name="leave-no" label={trans.__('Stay')} onClick={onDone} />
      </div>
    </div>
  );
}
