import { authorise } from '../../../core/access/rights.ts';
import type { StoredRecord } from '../../../core/storage/stored-record.ts';
import type { Tx } from '../../../core/storage/storage.ts';
import { freeRanges, networkOfSubnet, usedAddresses, usedRanges } from '../address-use.ts';
import type { Fields } from '../fields.ts';
import { flagField, readForm } from '../form-field.ts';
import type { MaasCall, MaasHandler } from '../handler.ts';
import { contains, formatAddress, parseAddress } from '../ip-network.ts';
import type { MaasContext } from '../maas-context.ts';
import { invalidField, MaasRefusal } from '../maas-refusal.ts';
import { eventMoment } from '../moment.ts';
import { NetworkLookup } from '../network-lookup.ts';
import { apiRoot } from '../shapes/resource-uri.ts';
import { userReference } from '../shapes/user-reference.ts';
import { noChoice } from '../stored-resource.ts';

/** `ipaddresses/`: addresses that users keep for themselves. */
export function ipAddressesHandler({ storage, clock }: MaasContext): MaasHandler {
  return {
    name: 'IPAddressesHandler',
    doc: 'Addresses that users reserved.',
    path: 'ipaddresses/',
    actions: [
      {
        method: 'GET',
        op: null,
        doc: 'The addresses of the caller; for an administrator those of others too.',
        params: { ip: 'only this address', all: 'of everybody', owner: 'of this user' },
        handle: (call) =>
          storage.run(async (tx) => {
            const network = await NetworkLookup.read(tx);
            const records = await tx.records.list('ip-address', ownerAsked(call));
            const ip = call.fields.get('ip');
            return {
              json: records
                .filter(({ name }) => !ip || name === ip)
                .map((record) => addressJson(record, network)),
            };
          }),
      },
      {
        method: 'POST',
        op: 'reserve',
        doc: 'Reserve an address.',
        effect: 'stored',
        params: {
          subnet: 'number or CIDR of the subnet; without it the one that has the address',
          ip: 'the address; without it a free one of the subnet',
          hostname: 'only kept',
          mac: 'only kept',
        },
        handle: ({ fields, user }) =>
          storage.run(async (tx) => {
            authorise(user.asker(), 'machine.describe');
            const wanted = fields.get('ip') || fields.get('ip_address') || null;
            if (wanted !== null && !parseAddress(wanted))
              throw invalidField('ip', 'Enter a valid IPv4 or IPv6 address.');
            const subnet = await subnetOf(tx, fields, wanted);
            const ip = await freeAddress(tx, subnet, wanted);
            const record = await tx.records.insert({
              kind: 'ip-address',
              name: ip,
              owner: user.principal.name,
              body: {
                subnet: subnet.id,
                hostname: fields.get('hostname') ?? '',
                mac: fields.get('mac') ?? '',
                created: clock.now(),
              },
            });
            return { json: addressJson(record, await NetworkLookup.read(tx)) };
          }),
      },
      {
        method: 'POST',
        op: 'release',
        doc: 'Give a reserved address back.',
        effect: 'stored',
        params: {
          ip: 'the address',
          force: 'of an administrator: also of somebody else',
          discovered: 'accepted; nothing is discovered here',
        },
        handle: ({ fields, user }) =>
          storage.run(async (tx) => {
            authorise(user.asker(), 'machine.describe');
            const ip = fields.get('ip');
            if (!ip) throw invalidField('ip', 'This field is required.');
            const { force } = readForm({ force: flagField('') }, fields, null);
            if (force === true && !user.isAdmin)
              throw new MaasRefusal(403, 'Force-releasing an IP address requires admin privileges.');
            const record = await tx.records.findByName('ip-address', spelling(ip));
            if (!record || (force !== true && record.owner !== user.principal.name))
              throw new MaasRefusal(404, `IP Address ${ip} could not be found.`);
            await tx.records.delete('ip-address', record.id);
            return { empty: true };
          }),
      },
    ],
  };
}

/** Undefined = of everybody. */
function ownerAsked({ fields, user }: MaasCall): string | undefined {
  const owner = fields.get('owner');
  const { all } = readForm({ all: flagField('') }, fields, null);
  if (!owner && all !== true) return user.principal.name;
  if (!user.isAdmin && owner !== user.principal.name)
    throw new MaasRefusal(403, 'Listing all IP addresses requires admin privileges.');
  return owner ?? undefined;
}

async function subnetOf(tx: Tx, fields: Fields, ip: string | null): Promise<StoredRecord> {
  const said = fields.get('subnet')?.replace(/^(id|cidr):/, '');
  const all = await tx.records.list('subnet');
  const found = said
    ? all.find(({ id, body }) => said === String(id) || said === body['cidr'] || said === body['name'])
    : all.find((subnet) => ip !== null && contains(networkOfSubnet(subnet), ip));
  if (found) return found;
  if (said) throw noChoice('subnet');
  throw invalidField(ip === null ? 'subnet' : 'ip', 'No subnet has this address: name one.');
}

async function freeAddress(tx: Tx, subnet: StoredRecord, wanted: string | null): Promise<string> {
  const network = networkOfSubnet(subnet);
  if (wanted === null) {
    const [free] = freeRanges(subnet, await usedRanges(tx, subnet));
    if (!free) throw new MaasRefusal(503, `No more IPs available in subnet: ${network.cidr}.`);
    return formatAddress(free.first, free.family);
  }
  const ip = spelling(wanted);
  if (!contains(network, ip)) throw new MaasRefusal(403, `${ip} is not within subnet CIDR: ${network.cidr}`);
  const taken = (await usedAddresses(tx, subnet)).some((used) => spelling(used.ip) === ip);
  if (taken) throw new MaasRefusal(404, `The IP address ${ip} is already in use.`);
  return ip;
}

function spelling(ip: string): string {
  const parsed = parseAddress(ip);
  return parsed ? formatAddress(parsed.value, parsed.family) : ip;
}

function addressJson({ name, owner, body }: StoredRecord, network: NetworkLookup): unknown {
  return {
    alloc_type: 4,
    alloc_type_name: 'User reserved',
    created: eventMoment(Number(body['created'] ?? 0)),
    ip: name,
    subnet: network.subnet(Number(body['subnet'])),
    interface_set: [],
    owner: userReference(owner),
    resource_uri: `${apiRoot}/ipaddresses/`,
  };
}
