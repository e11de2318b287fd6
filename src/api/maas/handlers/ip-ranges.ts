import type { StoredRecord } from '../../../core/storage/stored-record.ts';
import type { Tx } from '../../../core/storage/storage.ts';
import { networkOfSubnet } from '../address-use.ts';
import { addressField, choiceField, needed, textField } from '../form-field.ts';
import type { MaasCall, MaasHandler } from '../handler.ts';
import { contains, parseAddress } from '../ip-network.ts';
import type { MaasContext } from '../maas-context.ts';
import { invalidField, MaasRefusal } from '../maas-refusal.ts';
import { NetworkLookup } from '../network-lookup.ts';
import { apiRoot } from '../shapes/resource-uri.ts';
import { userReference } from '../shapes/user-reference.ts';
import { noChoice, storedResource } from '../stored-resource.ts';
import { textOf } from '../text-of.ts';

/** `ipranges/`: addresses of a subnet that are not given to anybody else. */
export function ipRangesHandlers({ storage }: MaasContext): readonly MaasHandler[] {
  return storedResource(storage, {
    kind: 'ip-range',
    what: 'IPRange',
    names: ['IPRangesHandler', 'IPRangeHandler'],
    doc: 'ranges of addresses',
    paths: ['ipranges/', 'ipranges/{id}/'],
    form: {
      type: needed(choiceField('dynamic or reserved.', ['dynamic', 'reserved'])),
      start_ip: needed(addressField('First address.')),
      end_ip: needed(addressField('Last address.')),
      subnet: textField('Number of the subnet; the one that has the addresses without one.'),
      comment: textField('For people.'),
    },
    writers: 'user',
    around: (tx) => NetworkLookup.read(tx),
    shape: ipRangeJson,
    check: async ({ tx, call, body, before }) => {
      refuseForeign(call, before);
      if (body['type'] === 'dynamic' && !call.user.isAdmin)
        throw new MaasRefusal(
          403,
          "Unable to create dynamic IP range. You don't have sufficient privileges.",
        );
      const [first, last] = [textOf(body['start_ip']), textOf(body['end_ip'])];
      const subnet = await subnetOf(tx, body['subnet'], first);
      await refuseRange(tx, subnet, first, last, before);
      return { ...body, subnet: subnet.id, user: before ? before.body['user']! : call.user.principal.name };
    },
    deleting: (_tx, record, call) => refuseForeign(call, record),
  });
}

function ipRangeJson({ id, body }: StoredRecord, network: NetworkLookup): unknown {
  const { type, start_ip, end_ip, comment, subnet, user } = body;
  return {
    id,
    type,
    start_ip,
    end_ip,
    comment,
    subnet: network.subnet(Number(subnet)),
    user: userReference(typeof user === 'string' ? user : null),
    resource_uri: `${apiRoot}/ipranges/${id}/`,
  };
}

function refuseForeign({ user }: MaasCall, before: StoredRecord | null): void {
  if (before && !user.isAdmin && before.body['user'] !== user.principal.name)
    throw new MaasRefusal(403, "Unable to modify IP range. You don't own the IP range.");
}

async function subnetOf(tx: Tx, said: unknown, first: string): Promise<StoredRecord> {
  const all = await tx.records.list('subnet');
  const found =
    said === '' || said === undefined || said === null
      ? all.find((subnet) => contains(networkOfSubnet(subnet), first))
      : all.find(({ id, body }) => textOf(said) === String(id) || body['cidr'] === said);
  if (!found) throw noChoice('subnet');
  return found;
}

async function refuseRange(
  tx: Tx,
  subnet: StoredRecord,
  first: string,
  last: string,
  before: StoredRecord | null,
): Promise<void> {
  const network = networkOfSubnet(subnet);
  if (!contains(network, first) || !contains(network, last))
    throw new MaasRefusal(400, `IP addresses must be within subnet: ${network.cidr}.`);
  const value = (address: unknown): bigint => parseAddress(textOf(address))!.value;
  if (value(last) < value(first))
    throw invalidField('end_ip', 'End IP address must not be less than Start IP address.');
  const overlapping = (await tx.records.list('ip-range')).some(
    ({ id, body }) =>
      id !== before?.id &&
      body['subnet'] === subnet.id &&
      value(body['start_ip']) <= value(last) &&
      value(body['end_ip']) >= value(first),
  );
  if (overlapping) throw new MaasRefusal(400, 'Requested range conflicts with an existing range.');
}
