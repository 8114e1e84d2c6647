import { closeIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Link } from '../../generated/api';
import type { LinksModel } from '../../model/links';
import { CopyField } from '../../ui/copy';
import { until } from '../../ui/format';
import { useModel } from '../../ui/hooks';
import { Ago, ErrorLine, IconButton } from '../../ui/parts';
import { ProjectPicker } from '../../ui/project-picker';

interface Props {
  links: LinksModel;
  trans: TranslationBundle;
}

const DAYS = [1, 7, 30, 90, 365];

function audienceName({ audience }: Pick<Link, 'audience'>, trans: TranslationBundle): string {
  return audience === 'anyone'
    ? trans.__('anyone with the link')
    : trans.__('people who can sign in here');
}

/** The address of the link that was made last: it can be copied now, and never again. */
function Made({ links, trans }: Props) {
  return (
    <div className="nabla-Made" data-nabla="link-made">
      <CopyField
        name="link-address"
        text={links.address}
        label={trans.__('Address of the link')}
        trans={trans}
      />
      <p className="nabla-Quiet">
        {trans.__('Copy it now: only a fingerprint of it is kept, so it cannot be shown again.')}
      </p>
      {links.warnings.map(warning => (
        <p key={warning} className="nabla-Warning" role="status" data-nabla="link-warning">
          {warning}
        </p>
      ))}
    </div>
  );
}

function Links({ links, trans }: Props) {
  return (
    <ul className="nabla-Shares" aria-label={trans.__('Links')}>
      {links.items.map(link => (
        <li key={link.id} data-nabla="link" data-id={link.id}>
          <span>
            {audienceName(link, trans)}
            <span className="nabla-Quiet">
              {' · '}
              {trans.__('made by %1', link.owner)} <Ago time={link.created} trans={trans} />
              {' · '}
              {link.expires ? until(link.expires, trans) : trans.__('without an end')}
            </span>
          </span>
          <IconButton
            name="link-revoke"
            icon={closeIcon}
            label={trans.__('Revoke this link: it opens nothing from then on')}
            onClick={() => void links.remove(link)}
          />
        </li>
      ))}
    </ul>
  );
}

/** Share a notebook by link, as it is now: for whom, for how long, and the links that there are. */
export function Share(props: Props) {
  const { links, trans } = props;
  useModel(links);
  const own = 'path' in links.target;
  return (
    <div className="nabla-Share" data-nabla="share-notebook">
      <form
        className="nabla-Line"
        onSubmit={event => {
          event.preventDefault();
          void links.create();
        }}
      >
        <label>
          <span className="nabla-Quiet">{trans.__('For')}</span>
          <select
            className="nabla-Input"
            data-nabla="link-audience"
            value={links.audience}
            onChange={event => links.update({ audience: event.target.value as Link['audience'] })}
          >
            {(['users', 'anyone'] as const).map(audience => (
              <option key={audience} value={audience}>
                {audienceName({ audience }, trans)}
              </option>
            ))}
          </select>
        </label>
        <label>
          <span className="nabla-Quiet">{trans.__('during')}</span>
          <select
            className="nabla-Input"
            data-nabla="link-days"
            value={links.days ?? ''}
            onChange={event => links.update({ days: Number(event.target.value) || null })}
          >
            {DAYS.map(days => (
              <option key={days} value={days}>
                {trans._n('1 day', '%1 days', days)}
              </option>
            ))}
            <option value="">{trans.__('until it is revoked')}</option>
          </select>
        </label>
        {own && (
          <ProjectPicker
            projects={links.projects}
            value={links.project}
            none={trans.__('My default project')}
            trans={trans}
            onChoose={project => links.update({ project })}
          />
        )}
        <button
          type="submit"
          className="nabla-Button nabla-mod-primary"
          data-nabla="link-create"
          disabled={links.busy}
        >
          {links.busy ? trans.__('Making the link…') : trans.__('Make a link')}
        </button>
      </form>
      <p className="nabla-Quiet">
        {links.audience === 'anyone'
          ? trans.__(
              'Whoever has the link sees the notebook with its outputs, without signing in. It runs nothing, and what you change later is not shown.'
            )
          : trans.__(
              'Whoever signs in here and has the link sees the notebook with its outputs, and can copy it. What you change later is not shown.'
            )}
      </p>
      <ErrorLine message={links.error} />
      {links.address && <Made {...props} />}
      {links.items.length > 0 && <Links {...props} />}
    </div>
  );
}
