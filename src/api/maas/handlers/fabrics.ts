import type { StoredRecord } from '../../../core/storage/stored-record.ts';
import type { Tx } from '../../../core/storage/storage.ts';
import { ensureUntagged, nowhereFabric } from '../../../operations/networks.ts';
import { nameField, nullableField, textField } from '../form-field.ts';
import type { MaasHandler } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { invalidField, MaasRefusal } from '../maas-refusal.ts';
import { NetworkLookup } from '../network-lookup.ts';
import { refuseUsedVlans } from '../network-use.ts';
import { apiRoot } from '../shapes/resource-uri.ts';
import { storedResource } from '../stored-resource.ts';
import { textOf } from '../text-of.ts';

/** `fabrics/`: those of the rack config, and others that clients make. */
export function fabricsHandlers({ storage }: MaasContext): readonly MaasHandler[] {
  return storedResource(storage, {
    kind: 'fabric',
    what: 'Fabric',
    names: ['FabricsHandler', 'FabricHandler'],
    doc: 'fabrics: switches that share one space of VLANs',
    paths: ['fabrics/', 'fabrics/{id}/'],
    form: {
      name: nameField('Name of the fabric; without one it gets a number.'),
      description: textField('Description, for people.'),
      class_type: nullableField(textField('A class that clients may ask for.')),
    },
    effect: 'acts',
    name: (body) => textOf(body['name']),
    around: (tx) => NetworkLookup.read(tx),
    shape: fabricJson,
    check: async ({ tx, body, before }) => {
      const name = body['name'] === '' ? (before?.name ?? (await freeName(tx))) : body['name']!;
      if (before && name !== before.name && (await isDeclared(tx, before)))
        throw invalidField('name', 'The rack config names this fabric: change its name there.');
      return { ...body, name };
    },
    changed: async (tx, { id }, before) => {
      if (!before) await ensureUntagged(tx, id, false);
    },
    deleting: async (tx, record) => {
      if (record.name === nowhereFabric)
        throw new MaasRefusal(400, 'This fabric is the default fabric, it cannot be deleted.');
      if (await isDeclared(tx, record))
        throw new MaasRefusal(400, 'The rack config declares this fabric, it cannot be deleted.');
      const network = await NetworkLookup.read(tx);
      const vlans = network.vlans.filter(({ fabric }) => fabric === record.id).map(({ id }) => id);
      const subnets = vlans.flatMap((id) => network.subnetsOfVlan(id));
      if (subnets.length > 0)
        throw new MaasRefusal(
          400,
          `Can't delete fabric; the following subnets are still present: ${subnets.map(({ cidr }) => cidr).join(', ')}`,
        );
      await refuseUsedVlans(tx, new Set(vlans), "Can't delete fabric");
      for (const id of vlans) await tx.records.delete('vlan', id);
    },
  });
}

function fabricJson({ id, name, body }: StoredRecord, network: NetworkLookup): unknown {
  const vlans = network.vlans.filter(({ fabric }) => fabric === id);
  return {
    id,
    name,
    description: body['description'] ?? '',
    class_type: body['class_type'] ?? null,
    vlans: vlans.map((vlan) => network.vlan(vlan.id)),
    resource_uri: `${apiRoot}/fabrics/${id}/`,
  };
}

async function isDeclared(tx: Tx, { name }: StoredRecord): Promise<boolean> {
  return name === nowhereFabric || (await tx.racks.switches()).some(({ fabric }) => fabric === name);
}

async function freeName(tx: Tx): Promise<string> {
  const taken = new Set((await tx.records.list('fabric')).map(({ name }) => name));
  let number = taken.size;
  while (taken.has(`fabric-${number}`)) number += 1;
  return `fabric-${number}`;
}
