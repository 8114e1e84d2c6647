import type { TranslationBundle } from '@jupyterlab/translation';
import type { InstanceOffer } from '../../generated/api';
import type { FormModel } from '../../model/form';
import { bytes } from '../../ui/format';

function shape({ instance }: InstanceOffer, trans: TranslationBundle): string {
  const cores = trans._n('%1 core', '%1 cores', instance.cpus);
  const parts = [cores, bytes(instance.memory)];
  if (instance.gpus) {
    const memory = instance.gpu_memory ? ` ${bytes(instance.gpu_memory)}` : '';
    parts.push(`${instance.gpus} × ${instance.gpu_type || 'GPU'}${memory}`);
  }
  return parts.join(' · ');
}

function price(offer: InstanceOffer, trans: TranslationBundle): string {
  const { price } = offer.instance;
  return price ? trans.__('%1 per hour', price.toLocaleString()) : '';
}

/** The instances as rows to choose from: what they have, what they cost, how many are free now. */
export function InstancePicker({ form, trans }: { form: FormModel; trans: TranslationBundle }) {
  const offers = form.instances?.offers ?? [];
  const waiting = form.instances?.queue.length ?? 0;
  return (
    <fieldset className="nabla-Instances" data-nabla="instance-picker">
      <legend>{trans.__('Instance')}</legend>
      {offers.map(offer => {
        const { name } = offer.instance;
        return (
          <label
            key={name}
            className="nabla-Instance"
            data-nabla={`instance-${name}`}
            data-selected={form.instance === name}
          >
            <input
              type="radio"
              name="nabla-instance"
              value={name}
              checked={form.instance === name}
              onChange={() => form.update({ instance: name })}
            />
            <b>{name}</b>
            <span>{shape(offer, trans)}</span>
            <span className="nabla-Quiet">{price(offer, trans)}</span>
            <span className={offer.free ? 'nabla-Free' : 'nabla-Free nabla-mod-none'}>
              {offer.free
                ? trans.__('%1 of %2 free', offer.free, offer.total)
                : offer.total
                  ? trans.__('none free: the run will wait')
                  : trans.__('too large for this machine')}
            </span>
          </label>
        );
      })}
      {waiting > 0 && (
        <small className="nabla-Quiet">
          {trans._n('%1 run is waiting now.', '%1 runs are waiting now.', waiting)}
        </small>
      )}
    </fieldset>
  );
}
