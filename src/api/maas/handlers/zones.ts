import { defaultZone } from '../../../operations/default-records.ts';
import { nameField, needed, textField } from '../form-field.ts';
import type { MaasHandler } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { MaasRefusal } from '../maas-refusal.ts';
import { changeProfiles } from '../profile-change.ts';
import { storedResource } from '../stored-resource.ts';
import { Surroundings } from '../surroundings.ts';
import { textOf } from '../text-of.ts';

/** `zones/`: where machines stand, in the words of their users. */
export function zonesHandlers({ storage }: MaasContext): readonly MaasHandler[] {
  return storedResource(storage, {
    kind: 'zone',
    what: 'Zone',
    names: ['ZonesHandler', 'ZoneHandler'],
    doc: 'physical zones',
    paths: ['zones/', 'zones/{name}/'],
    form: {
      name: needed(nameField('Name of the zone.', /^[\w][\w.-]*$/)),
      description: textField('Description, for people.', { max: 4096 }),
    },
    name: (body) => textOf(body['name']),
    find: (tx, call) => tx.records.findByName('zone', call.param('name')),
    around: (tx) => Surroundings.read(tx),
    shape: ({ name }, around) => around.zone(name ?? ''),
    check: ({ body, before }) => {
      if (before?.name === defaultZone && body['name'] !== defaultZone)
        throw new MaasRefusal(400, 'This zone is the default zone, it cannot be renamed.');
      return body;
    },
    changed: async (tx, { name }, before) => {
      if (!before || before.name === name) return;
      await changeProfiles(tx, ({ zone }) => zone === before.name, { zone: name ?? '' });
    },
    deleting: async (tx, { name }) => {
      if (name === defaultZone)
        throw new MaasRefusal(400, 'This zone is the default zone, it cannot be deleted.');
      await changeProfiles(tx, ({ zone }) => zone === name, { zone: defaultZone });
    },
  });
}
