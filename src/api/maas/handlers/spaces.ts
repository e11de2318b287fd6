import type { StoredRecord } from '../../../core/storage/stored-record.ts';
import { nameField, needed, textField } from '../form-field.ts';
import type { MaasHandler } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { MaasRefusal } from '../maas-refusal.ts';
import { NetworkLookup } from '../network-lookup.ts';
import { apiRoot } from '../shapes/resource-uri.ts';
import { findBySpecifier, storedResource } from '../stored-resource.ts';
import { textOf } from '../text-of.ts';

/** What is in no space is told as if it were in this one. */
const undefinedSpace: StoredRecord = {
  kind: 'space',
  id: -1,
  name: 'undefined',
  owner: null,
  body: {},
  version: 0,
};

/** `spaces/`: names for VLANs that belong together. */
export function spacesHandlers({ storage }: MaasContext): readonly MaasHandler[] {
  return storedResource(storage, {
    kind: 'space',
    what: 'Space',
    names: ['SpacesHandler', 'SpaceHandler'],
    doc: 'spaces: names for VLANs that belong together',
    paths: ['spaces/', 'spaces/{id}/'],
    form: {
      name: needed(nameField('Name of the space.')),
      description: textField('Description, for people.'),
    },
    name: (body) => textOf(body['name']),
    around: (tx) => NetworkLookup.read(tx),
    shape: spaceJson,
    extra: (network) => [spaceJson(undefinedSpace, network)],
    find: async (tx, call) => {
      const space = call.param('id');
      return space === '-1' || space === undefinedSpace.name
        ? undefinedSpace
        : findBySpecifier(tx, 'space', space);
    },
    check: ({ body, before }) => {
      if (before === undefinedSpace) throw new MaasRefusal(400, 'The undefined space cannot be modified.');
      return body;
    },
    deleting: async (tx, record) => {
      if (record === undefinedSpace) throw new MaasRefusal(400, 'The undefined space cannot be deleted.');
      for (const vlan of await tx.records.list('vlan'))
        if (vlan.body['space'] === record.id)
          await tx.records.update({ ...vlan, body: { ...vlan.body, space: null } });
    },
  });
}

function spaceJson({ id, name, body }: StoredRecord, network: NetworkLookup): unknown {
  const vlans = network.vlans.filter(({ space }) => (space ?? undefinedSpace.id) === id);
  const subnets = vlans.flatMap((vlan) => network.subnetsOfVlan(vlan.id));
  return {
    id,
    name,
    description: body['description'] ?? '',
    vlans: vlans.map((vlan) => network.vlan(vlan.id)),
    subnets: subnets.map((subnet) => network.subnet(subnet.id)),
    resource_uri: `${apiRoot}/spaces/${id}/`,
  };
}
