import { closeIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import { useId, useState } from 'react';
import type { NewShare, Project, Share } from '../../generated/api';
import type { ProjectsModel } from '../../model/projects';
import type { SharesModel } from '../../model/shares';
import { useModel } from '../../ui/hooks';
import { Button, ErrorLine, IconButton } from '../../ui/parts';

interface Props {
  project: Project;
  projects: ProjectsModel;
  shares: SharesModel;
  trans: TranslationBundle;
}

function accessName({ access }: Pick<Share, 'access'>, trans: TranslationBundle): string {
  return access === 'write' ? trans.__('read and write') : trans.__('read');
}

/** With whom a project is shared, as part of the grey line below its name. */
export function SharingFact({ project, projects, shares, trans }: Props) {
  useModel(shares);
  if (!projects.isOurs(project)) {
    return (
      <span data-nabla="sharing">
        {trans.__('shared with me by %1', projects.teamName(project))}
      </span>
    );
  }
  const names = shares.items.map(share => `${share.grantee} (${accessName(share, trans)})`);
  return names.length ? (
    <span data-nabla="sharing">{trans.__('shared with %1', names.join(', '))}</span>
  ) : null;
}

function Shares({ shares, trans }: Pick<Props, 'shares' | 'trans'>) {
  return (
    <ul className="nabla-Shares" aria-label={trans.__('Shared with')}>
      {shares.items.map(share => (
        <li key={share.id} data-nabla="share" data-id={share.id}>
          <span>
            <b>{share.grantee}</b> <span className="nabla-Quiet">{accessName(share, trans)}</span>
          </span>
          <IconButton
            name="share-remove"
            icon={closeIcon}
            label={trans.__('Share it with %1 no longer', share.grantee)}
            onClick={() => void shares.remove(share)}
          />
        </li>
      ))}
    </ul>
  );
}

/** Share a project with a team or a person, and take that back, below the project's name. */
export function Sharing(props: Props & { onDone: () => void }) {
  const { project, projects, shares, trans, onDone } = props;
  useModel(shares);
  const [whom, setWhom] = useState<'team' | 'user'>('team');
  const [name, setName] = useState('');
  const [access, setAccess] = useState<NewShare['access']>('read');
  const known = useId();
  const teams = projects.ownTeams.filter(({ id, kind }) => id !== project.team && kind === 'team');
  const add = (): void => {
    const body = { team: null, user: null, [whom]: name.trim(), access };
    void shares.add(body).then(done => done && setName(''));
  };
  return (
    <section className="nabla-Inline" aria-label={trans.__('Sharing')} data-nabla="sharing-form">
      <Shares shares={shares} trans={trans} />
      <form
        className="nabla-Line"
        onSubmit={event => {
          event.preventDefault();
          add();
        }}
        onKeyDown={event => event.key === 'Escape' && onDone()}
      >
        <label>
          <span className="nabla-Hidden">{trans.__('Share with')}</span>
          <select
            className="nabla-Input"
            data-nabla="share-kind"
            value={whom}
            onChange={event => setWhom(event.target.value as typeof whom)}
          >
            <option value="team">{trans.__('A team')}</option>
            <option value="user">{trans.__('A person')}</option>
          </select>
        </label>
        <input
          className="nabla-Input"
          data-nabla="share-name"
          list={whom === 'team' ? known : undefined}
          aria-label={
            whom === 'team' ? trans.__('Name of the team') : trans.__('Name of the person')
          }
          placeholder={
            whom === 'team' ? trans.__('Name of the team') : trans.__('Name of the person')
          }
          value={name}
          autoFocus
          onChange={event => setName(event.target.value)}
        />
        <datalist id={known}>
          {teams.map(team => (
            <option key={team.id} value={team.name} />
          ))}
        </datalist>
        <label>
          <span className="nabla-Hidden">{trans.__('What they may do')}</span>
          <select
            className="nabla-Input"
            data-nabla="share-access"
            value={access}
            onChange={event => setAccess(event.target.value as typeof access)}
          >
            <option value="read">{trans.__('may read')}</option>
            <option value="write">{trans.__('may read and write')}</option>
          </select>
        </label>
        <button
          type="submit"
          className="nabla-Button nabla-mod-primary"
          data-nabla="share-add"
          disabled={!name.trim()}
        >
          {trans.__('Share')}
        </button>
        <Button name="share-done" label={trans.__('Done')} onClick={onDone} />
      </form>
      <p className="nabla-Quiet">
        {trans.__(
          'They see the project, its runs and its files; with “write” they also run and edit in it. ' +
            'Secrets of the project stay with its team.'
        )}
      </p>
      <ErrorLine message={shares.error} />
    </section>
  );
}
