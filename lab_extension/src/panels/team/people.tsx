import type { TranslationBundle } from '@jupyterlab/translation';
import { useEffect, useState } from 'react';
import type { Invitation, Membership, ServiceAccount } from '../../generated/api';
import { roleName, until } from '../../ui/format';
import { Ago, Button, ErrorLine } from '../../ui/parts';
import type { TeamProps } from './team';

function source({ source: how }: Membership, trans: TranslationBundle): string {
  return {
    made: trans.__('made the team'),
    added: trans.__('added'),
    invitation: trans.__('was invited'),
    group: trans.__('by a group of the sign-in')
  }[how];
}

function MemberRow({
  member,
  me,
  trans
}: { member: Membership; me: string } & Pick<TeamProps, 'trans'>) {
  return (
    <li data-nabla="member" data-user={member.owner} data-role={member.role}>
      <span>
        {member.owner}
        {member.owner === me && <span className="nabla-Quiet"> {trans.__('(you)')}</span>}
      </span>
      <span>{roleName(member.role, trans)}</span>
      <span className="nabla-Quiet">
        {source(member, trans)} <Ago time={member.created} trans={trans} />
      </span>
    </li>
  );
}

function InvitationRow({
  invitation,
  trans
}: { invitation: Invitation } & Pick<TeamProps, 'trans'>) {
  return (
    <li data-nabla="pending" data-id={invitation.id}>
      <span>{invitation.user || trans.__('whoever has the link')}</span>
      <span>{roleName(invitation.role, trans)}</span>
      <span className="nabla-Quiet">
        {trans.__('invited by %1', invitation.owner)}, {until(invitation.expires, trans)}
      </span>
    </li>
  );
}

function AccountRow({ account, trans }: { account: ServiceAccount } & Pick<TeamProps, 'trans'>) {
  return (
    <li data-nabla="service-account" data-id={account.id}>
      <span>{account.name}</span>
      <span>{roleName(account.role, trans)}</span>
      <span className="nabla-Quiet">
        {account.description || trans.__('made by %1', account.owner)}
      </span>
    </li>
  );
}

/** A person is found by name, where there are many. */
function Finder({ model, trans }: Pick<TeamProps, 'model' | 'trans'>) {
  const [text, setText] = useState(model.filter);
  useEffect(() => {
    const timer = setTimeout(() => {
      if (text.trim() !== model.filter) {
        model.find(text.trim());
      }
    }, 200);
    return () => clearTimeout(timer);
  }, [text, model]);
  const label = trans.__('Find a person');
  return (
    <input
      type="search"
      className="nabla-Input"
      data-nabla="member-search"
      aria-label={label}
      placeholder={label}
      value={text}
      onChange={event => setText(event.target.value)}
    />
  );
}

/** Who is in the team, who may come in, and who acts for it without being a person. */
export function People({ model, trans }: TeamProps) {
  const { members, invitations, accounts, page, manages, projects, team } = model;
  const me = projects.me?.user ?? '';
  const many = !members.complete || members.items.length > 12 || model.filter;
  return (
    <div className="nabla-Team-body">
      {many && <Finder model={model} trans={trans} />}
      <ErrorLine message={members.error} />
      <ul className="nabla-Plain" aria-label={trans.__('People')} data-nabla="members">
        {model.people.map(member => (
          <MemberRow key={member.id} member={member} me={me} trans={trans} />
        ))}
      </ul>
      {members.ready && !members.items.length && (
        <p className="nabla-Quiet">{trans.__('Nobody in the team is called that.')}</p>
      )}
      {!members.complete && members.items.length > 0 && (
        <Button
          name="more-members"
          label={trans.__('Show more people')}
          onClick={() => void members.more()}
        />
      )}
      {invitations.length > 0 && (
        <section aria-label={trans.__('Invited')}>
          <h2>{trans.__('Invited')}</h2>
          <ul className="nabla-Plain">
            {invitations.map(invitation => (
              <InvitationRow key={invitation.id} invitation={invitation} trans={trans} />
            ))}
          </ul>
        </section>
      )}
      {accounts.length > 0 && (
        <section aria-label={trans.__('Service accounts')}>
          <h2>{trans.__('Service accounts')}</h2>
          <ul className="nabla-Plain">
            {accounts.map(account => (
              <AccountRow key={account.id} account={account} trans={trans} />
            ))}
          </ul>
        </section>
      )}
      {!team?.private && (
        <p className="nabla-Quiet nabla-Team-note">
          {page && manages ? (
            <>
              {trans.__('Inviting people, changing roles and removing people is done on')}{' '}
              <a
                href={`${page}/${team?.name ?? model.id}`}
                target="_blank"
                rel="noopener"
                data-nabla="team-manage-link"
              >
                {trans.__('the team’s own page')}
              </a>
              {trans.__(', which asks who you are: what runs in a notebook cannot do it for you.')}
            </>
          ) : (
            !manages && trans.__('Owners and admins of the team invite people and change roles.')
          )}
        </p>
      )}
    </div>
  );
}
