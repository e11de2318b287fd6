import type { JsonObject } from '../../../../plugin-api/index.ts';
import { toSubnet, untaggedVid, vlanRecordName } from '../../../core/network/network-records.ts';
import type { StoredRecord } from '../../../core/storage/stored-record.ts';
import type { Tx } from '../../../core/storage/storage.ts';
import { provisioningVlans } from '../../../operations/networks.ts';
import { addressesIn, freeRanges, rangeJson, statisticsJson, usedRanges } from '../address-use.ts';
import type { Fields } from '../fields.ts';
import {
  addressesField,
  addressField,
  flagField,
  needed,
  networkField,
  nullableField,
  textField,
  wholeField,
  wordsField,
} from '../form-field.ts';
import type { MaasAction, MaasCall, MaasHandler, MaasUser } from '../handler.ts';
import { contains, parseNetwork } from '../ip-network.ts';
import type { MaasContext } from '../maas-context.ts';
import { invalidField, MaasRefusal } from '../maas-refusal.ts';
import { NetworkLookup } from '../network-lookup.ts';
import { refuseUsedSubnet } from '../network-use.ts';
import { findBySpecifier, findRecord, noChoice, storedResource } from '../stored-resource.ts';
import { textOf } from '../text-of.ts';

const where = {
  vlan: nullableField(textField('Number of its VLAN.')),
  fabric: nullableField(textField('Fabric of its VLAN, by number or name, where the VLAN is not said.')),
  vid: nullableField(wholeField('Id of its VLAN in that fabric.', null, { min: 0, max: 4094 })),
};

const form = {
  cidr: needed(networkField('Network with prefix length: 10.0.0.0/24.')),
  name: textField('Name of the subnet; its CIDR without one.'),
  description: textField('Description, for people.'),
  ...where,
  gateway_ip: nullableField(addressField('Address of the default gateway.')),
  dns_servers: addressesField('Addresses of DNS servers.'),
  rdns_mode: wholeField('Reverse DNS; only kept.', 2, { min: 0, max: 2 }),
  allow_dns: flagField('Only kept.', true),
  allow_proxy: flagField('Only kept.', true),
  managed: flagField('Only kept.', true),
  active_discovery: flagField('Only kept.'),
  disabled_boot_architectures: wordsField('Only kept.'),
};

/** `subnets/` */
export function subnetsHandlers({ storage }: MaasContext): readonly MaasHandler[] {
  const paths = ['subnets/', 'subnets/{id}/'] as const;
  const found = { kind: 'subnet', what: 'Subnet', paths, find: findSubnet } as const;
  const about = (
    op: string,
    doc: string,
    answer: (tx: Tx, subnet: StoredRecord, user: MaasUser) => Promise<unknown>,
  ) =>
    ({
      method: 'GET',
      op,
      doc,
      handle: (call) =>
        storage.run(async (tx) => ({ json: await answer(tx, await findRecord(tx, found, call), call.user) })),
    }) satisfies MaasAction;
  return storedResource(storage, {
    ...found,
    names: ['SubnetsHandler', 'SubnetHandler'],
    doc: 'subnets of VLANs',
    form,
    effect: 'acts',
    around: (tx) => NetworkLookup.read(tx),
    shape: ({ id }, network) => network.subnet(id),
    check: async ({ tx, call, body, before }) => {
      const vlan = await vlanOf(tx, call.fields, before);
      if (before && vlan !== before.body['vlan']) {
        await refuseLastToBootFrom(tx, before);
        await refuseUsedSubnet(tx, before.id, "Can't move subnet to another VLAN");
      }
      await refuseOther(tx, body, before);
      const cidr = textOf(body['cidr']);
      return { ...body, vlan, fabric: null, vid: null, name: textOf(body['name']) || cidr };
    },
    deleting: async (tx, record) => {
      await refuseLastToBootFrom(tx, record);
      await refuseUsedSubnet(tx, record.id, "Can't delete subnet");
      for (const kind of ['ip-range', 'static-route', 'ip-address'] as const)
        for (const { id, body } of await tx.records.list(kind))
          if ([body['subnet'], body['source'], body['destination']].includes(record.id))
            await tx.records.delete(kind, id);
    },
    more: {
      item: [
        about('statistics', 'How many addresses of the subnet are used.', async (tx, record) =>
          statisticsJson(record, await usedRanges(tx, record)),
        ),
        about('reserved_ip_ranges', 'The addresses in use, as ranges.', async (tx, record) =>
          (await usedRanges(tx, record)).map(rangeJson),
        ),
        about('unreserved_ip_ranges', 'The addresses that are free, as ranges.', async (tx, record) =>
          freeRanges(record, await usedRanges(tx, record)).map(rangeJson),
        ),
        about('ip_addresses', 'The addresses in use, with who uses them.', addressesIn),
      ],
    },
  });
}

/** By number, CIDR, name, or `cidr:...`, `name:...`. */
async function findSubnet(tx: Tx, call: MaasCall): Promise<StoredRecord | null> {
  const text = call.param('id').replace(/^(cidr|name):/, '');
  if (/^(id:)?\d{1,9}$/.test(text)) return findBySpecifier(tx, 'subnet', text);
  const cidr = parseNetwork(text)?.cidr;
  const all = await tx.records.list('subnet');
  return all.find(({ body }) => body['cidr'] === cidr || body['name'] === text) ?? null;
}

/** The VLAN that the form names; of a new subnet else the untagged one of the first fabric. */
async function vlanOf(tx: Tx, fields: Fields, before: StoredRecord | null): Promise<number> {
  const [vlan, fabric, vid] = [fields.get('vlan'), fields.get('fabric'), fields.get('vid')];
  if (vlan) {
    const found = await findBySpecifier(tx, 'vlan', `id:${vlan.replace(/^id:/, '')}`);
    if (!found) throw noChoice('vlan');
    return found.id;
  }
  if (before && !fabric && !vid) return toSubnet(before).vlan;
  const inside = fabric ? await findBySpecifier(tx, 'fabric', fabric) : (await tx.records.list('fabric'))[0];
  if (!inside) throw noChoice('fabric');
  const name = vlanRecordName(inside.id, vid ? Number(vid) : untaggedVid);
  const found = await tx.records.findByName('vlan', name);
  if (!found) throw invalidField('vid', `No VLAN with vid ${vid ?? ''} in fabric ${inside.name ?? ''}.`);
  return found.id;
}

async function refuseOther(tx: Tx, body: JsonObject, before: StoredRecord | null): Promise<void> {
  const cidr = textOf(body['cidr']);
  const twin = (await tx.records.list('subnet')).find(
    (one) => one.id !== before?.id && one.body['cidr'] === cidr,
  );
  // The fabrics of one rack config may share a provisioning network: those subnets were not made here.
  if (twin && before?.body['cidr'] !== cidr)
    throw invalidField('cidr', 'Subnet with this Cidr already exists.');
  const gateway = body['gateway_ip'];
  if (typeof gateway === 'string' && !contains(parseNetwork(cidr)!, gateway))
    throw invalidField('gateway_ip', 'gateway IP must be within CIDR range.');
}

async function refuseLastToBootFrom(tx: Tx, record: StoredRecord): Promise<void> {
  const { vlan } = toSubnet(record);
  if (!(await provisioningVlans(tx)).has(vlan)) return;
  const others = (await tx.records.list('subnet')).filter(
    (one) => one.id !== record.id && toSubnet(one).vlan === vlan,
  );
  if (others.length === 0)
    throw new MaasRefusal(400, 'Machines boot from this subnet: it can be changed, not moved or deleted.');
}
