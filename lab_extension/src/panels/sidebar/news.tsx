import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon } from '@jupyterlab/ui-components';
import { useState } from 'react';
import type { ForkModel } from '../../model/fork';
import type { InvitationsModel } from '../../model/invitations';
import type { ProjectsModel } from '../../model/projects';
import { roleName } from '../../ui/format';
import { useModel } from '../../ui/hooks';
import { Button, ErrorLine, IconButton } from '../../ui/parts';
import type { Navigation } from '../navigation';

interface Props {
  invitations: InvitationsModel;
  projects: ProjectsModel;
  fork: ForkModel;
  nav: Navigation;
  trans: TranslationBundle;
}

/** Invitations to teams: one quiet line each, with Join. */
function Invitations({ invitations, nav, trans }: Props) {
  useModel(invitations);
  const [joining, setJoining] = useState('');
  return (
    <>
      <ErrorLine message={invitations.error} />
      {invitations.items.slice(0, 3).map(invitation => (
        <p className="nabla-News" key={invitation.id} data-nabla="invitation">
          <span>
            {trans.__(
              '%1 invites you to the team %2 as %3',
              invitation.owner,
              invitation.team_name || invitation.name,
              roleName(invitation.role, trans)
            )}
          </span>
          {invitations.page ? (
            <a
              className="nabla-Button"
              data-nabla="invitation-join"
              href={invitations.page}
              target="_blank"
              rel="noopener"
              title={trans.__('Join on the hub’s own page, which asks who you are')}
            >
              {trans.__('Join')}
            </a>
          ) : (
            <Button
              name="invitation-join"
              label={joining === invitation.id ? trans.__('Joining…') : trans.__('Join')}
              disabled={joining === invitation.id}
              onClick={() => {
                setJoining(invitation.id);
                void invitations.accept(invitation).then(membership => {
                  setJoining('');
                  if (membership) {
                    nav.openTeam(membership.team);
                  }
                });
              }}
            />
          )}
        </p>
      ))}
      {invitations.items.length > 3 && (
        <p className="nabla-News nabla-Quiet">
          {trans.__('and %1 more invitations', invitations.items.length - 3)}
        </p>
      )}
    </>
  );
}

/** A notebook that was shared by link and is to be copied here: asked, because its maker chose what is in it. */
function Fork({ fork, nav, trans }: Props) {
  useModel(fork);
  if (!fork.token) {
    return null;
  }
  return (
    <div className="nabla-News nabla-mod-block" role="alertdialog" data-nabla="fork">
      <ErrorLine message={fork.error} />
      {!fork.error && (
        <p>
          {fork.link
            ? trans.__(
                'Copy “%1”, which %2 shared, into your files? Nothing of it runs until you run it.',
                fork.link.name,
                fork.link.owner
              )
            : trans.__('Looking at what was shared…')}
        </p>
      )}
      <p>
        {!fork.error && (
          <Button
            name="fork-yes"
            primary
            label={fork.busy ? trans.__('Copying…') : trans.__('Copy and open')}
            disabled={!fork.link || fork.busy}
            onClick={() => {
              void fork.copy().then(path => path && nav.openNotebook(path));
            }}
          />
        )}{' '}
        <Button
          name="fork-no"
          label={fork.error ? trans.__('Close') : trans.__('No')}
          onClick={() => fork.dismiss()}
        />
      </p>
    </div>
  );
}

/** What the side bar has to say before everything else; mostly nothing. */
export function News(props: Props) {
  const { projects, trans } = props;
  useModel(projects);
  return (
    <>
      <Fork {...props} />
      <Invitations {...props} />
      {projects.notice && (
        <p className="nabla-News" role="status" data-nabla="notice">
          <span>{projects.notice}</span>
          <IconButton
            name="notice-close"
            icon={closeIcon}
            label={trans.__('Read')}
            onClick={() => projects.dismiss()}
          />
        </p>
      )}
    </>
  );
}
