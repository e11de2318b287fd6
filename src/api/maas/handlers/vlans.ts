import type { JsonObject } from '../../../../plugin-api/index.ts';
import { toVlan, untaggedVid, vlanRecordName } from '../../../core/network/network-records.ts';
import type { StoredRecord } from '../../../core/storage/stored-record.ts';
import type { Tx } from '../../../core/storage/storage.ts';
import { provisioningVlans } from '../../../operations/networks.ts';
import { flagField, needed, nullableField, textField, wholeField } from '../form-field.ts';
import type { MaasCall, MaasHandler } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { invalidField, MaasRefusal, notFound } from '../maas-refusal.ts';
import { NetworkLookup } from '../network-lookup.ts';
import { refuseUsedVlans } from '../network-use.ts';
import { findBySpecifier, noChoice, storedResource, type StoredResource } from '../stored-resource.ts';
import { textOf } from '../text-of.ts';

/** `fabrics/{fabric_id}/vlans/`, and the same VLANs by their numbers at `vlans/{id}/`. */
export function vlansHandlers({ storage }: MaasContext): readonly MaasHandler[] {
  const resource: StoredResource<NetworkLookup> = {
    kind: 'vlan',
    what: 'VLAN',
    names: ['VlansHandler', 'VlanHandler'],
    doc: 'VLANs of a fabric',
    paths: ['fabrics/{fabric_id}/vlans/', 'fabrics/{fabric_id}/vlans/{vid}/'],
    form: {
      vid: needed(wholeField('VLAN id, 0 to 4094.', null, { min: 0, max: 4094 })),
      name: textField('Name of the VLAN.', { max: 256 }),
      description: textField('Description, for people.'),
      mtu: wholeField('Largest packet in bytes.', 1500, { min: 552, max: 65_535 }),
      dhcp_on: flagField('Whether DHCP is said to be served: true only of provisioning networks.'),
      space: nullableField(textField('Space, by number or name; "undefined" for none.')),
      relay_vlan: nullableField(
        wholeField('Number of the VLAN to which DHCP is relayed; only kept.', null, { min: 1, max: 2 ** 31 }),
      ),
      primary_rack: nullableField(textField('Only kept.')),
      secondary_rack: nullableField(textField('Only kept.')),
    },
    effect: 'acts',
    nameField: 'vid',
    name: (body) => vlanRecordName(Number(body['fabric']), Number(body['vid'])),
    around: (tx) => NetworkLookup.read(tx),
    shape: ({ id }, network) => network.vlan(id),
    find: async (tx, call) => {
      const fabric = await fabricOf(tx, call);
      const vid = call.param('vid');
      return /^\d{1,4}$/.test(vid)
        ? tx.records.findByName('vlan', vlanRecordName(fabric, Number(vid)))
        : null;
    },
    within: async (tx, call) => {
      const fabric = await fabricOf(tx, call);
      return (record) => toVlan(record).fabric === fabric;
    },
    check: async ({ tx, call, body, before }) => {
      const fabric = before ? toVlan(before).fabric : await fabricOf(tx, call);
      if (before && body['vid'] !== before.body['vid']) await refuseMoved(tx, before);
      const { relay_vlan: relay } = body;
      if (typeof relay === 'number' && (relay === before?.id || !(await tx.records.find('vlan', relay))))
        throw noChoice('relay_vlan');
      return { ...body, fabric, space: await spaceOf(tx, body) };
    },
    deleting: async (tx, record) => {
      const { id, fabric, vid } = toVlan(record);
      if (vid === untaggedVid)
        throw new MaasRefusal(400, 'This VLAN is the default VLAN in the fabric, it cannot be deleted.');
      if ((await provisioningVlans(tx)).has(id))
        throw new MaasRefusal(400, 'Machines boot from this VLAN, it cannot be deleted.');
      await refuseUsedVlans(tx, new Set([id]), "Can't delete VLAN");
      // As in MAAS: what was on it falls to the fabric's untagged VLAN.
      const untagged = await tx.records.findByName('vlan', vlanRecordName(fabric, untaggedVid));
      for (const subnet of await tx.records.list('subnet'))
        if (subnet.body['vlan'] === id)
          await tx.records.update({ ...subnet, body: { ...subnet.body, vlan: untagged!.id } });
      for (const vlan of await tx.records.list('vlan'))
        if (vlan.body['relay_vlan'] === id)
          await tx.records.update({ ...vlan, body: { ...vlan.body, relay_vlan: null } });
    },
  };
  const [all, one] = storedResource(storage, resource);
  const [, byNumber] = storedResource(storage, {
    ...resource,
    paths: ['vlans/', 'vlans/{id}/'],
    find: (tx, call) => findBySpecifier(tx, 'vlan', `id:${call.param('id')}`),
  });
  return [all!, one!, { ...byNumber!, hidden: true }];
}

async function fabricOf(tx: Tx, call: MaasCall): Promise<number> {
  const fabric = await findBySpecifier(tx, 'fabric', call.param('fabric_id'));
  if (!fabric) throw notFound('Fabric');
  return fabric.id;
}

async function refuseMoved(tx: Tx, before: StoredRecord): Promise<void> {
  if ((await provisioningVlans(tx)).has(before.id))
    throw invalidField('vid', 'Machines boot from this VLAN: its id is a matter of the rack config.');
  await refuseUsedVlans(tx, new Set([before.id]), "Can't change the id of the VLAN");
}

/** Number of the space that the form names; null for none. */
async function spaceOf(tx: Tx, { space }: JsonObject): Promise<number | null> {
  if (space === null || space === undefined || space === 'undefined' || space === '-1') return null;
  const found = await findBySpecifier(tx, 'space', textOf(space));
  if (!found) throw noChoice('space');
  return found.id;
}
