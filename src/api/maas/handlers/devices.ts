import { parseMac } from '../../../../plugin-api/index.ts';
import { authorise } from '../../../core/access/rights.ts';
import type { MachineId } from '../../../core/machine/machine.ts';
import type { StoredRecord } from '../../../core/storage/stored-record.ts';
import type { Tx } from '../../../core/storage/storage.ts';
import { newSystemId } from '../../../kernel/ids/ids.ts';
import { defaultDomain, defaultZone } from '../../../operations/default-records.ts';
import { toDevice, withInterfaces, type Device } from '../device.ts';
import type { Fields } from '../fields.ts';
import { macsField, nameField, needed, textField } from '../form-field.ts';
import type { MaasCall, MaasHandler } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { invalidField, MaasRefusal, notFound } from '../maas-refusal.ts';
import { ownerDataAfter } from '../owner-data.ts';
import { deviceJson } from '../shapes/device.ts';
import { findBySpecifier, findRecord, noChoice, storedResource } from '../stored-resource.ts';
import { Surroundings } from '../surroundings.ts';
import { textOf } from '../text-of.ts';

const paths = ['devices/', 'devices/{system_id}/'] as const;

/** `devices/`: what has addresses and is no machine of ours, containers for example. */
export function devicesHandlers({ storage }: MaasContext): readonly MaasHandler[] {
  const handlers = storedResource(storage, {
    kind: 'device',
    what: 'Device',
    names: ['DevicesHandler', 'DeviceHandler'],
    doc: 'devices: what has addresses and is no machine',
    paths,
    form: {
      hostname: nameField(
        'Hostname; without one it is made up.',
        /^[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\..*)?$/,
      ),
      description: textField('For people.', { max: 4096 }),
      domain: textField('Domain, by number or name.'),
      zone: textField('Zone, by name.'),
      parent: textField('System id of the machine or device that it is on.'),
      mac_addresses: needed(macsField('Its MAC addresses; repeat the field.')),
    },
    writers: 'user',
    name: (body) => textOf(body['system_id']),
    find: (tx, call) => findDevice(tx, call),
    around: (tx) => Surroundings.read(tx),
    shape: (record, around) => deviceJson(toDevice(record), around),
    filters: {
      id: 'only these system ids',
      hostname: 'only these hostnames',
      mac_address: 'only with one of these MAC addresses',
      domain: 'only in these domains',
      zone: 'only in these zones',
      agent_name: 'accepted and not used',
    },
    shows: (record, fields) => isAsked(toDevice(record), fields),
    check: async ({ tx, call, body, before }) => {
      if (before) refuseForeign(before, call);
      const said = {
        ...body,
        hostname: (textOf(body['hostname']) || `device-${newSystemId()}`).split('.', 1)[0]!,
        domain: await domainOf(tx, textOf(body['domain'])),
        zone: await zoneOf(tx, textOf(body['zone'])),
        parent: await parentOf(tx, textOf(body['parent'])),
      };
      if (before) return said;
      const macs = body['mac_addresses'] as readonly string[];
      await refuseTakenMacs(tx, macs);
      const made = { ...said, system_id: newSystemId(), owner: call.user.principal.name };
      return withInterfaces(made, macs.map(nicOf));
    },
    deleting: (_tx, record, call) => refuseForeign(record, call),
    more: {
      item: [
        ...['set_owner_data', 'set_workload_annotations'].map((op) => ({
          method: 'POST' as const,
          op,
          doc: 'Note pairs of name and value; an empty value removes one.',
          effect: 'stored' as const,
          handle: (call: MaasCall) =>
            storage.run(async (tx) => {
              const found = { kind: 'device', what: 'Device', paths, find: findDevice } as const;
              const record = await findRecord(tx, found, call);
              authorise(call.user.asker(), 'machine.describe');
              refuseForeign(record, call);
              const data = ownerDataAfter(toDevice(record).ownerData, call.fields);
              const body = { ...record.body, owner_data: data };
              const stored = await tx.records.update({ ...record, body });
              return { json: deviceJson(toDevice(stored), await Surroundings.read(tx)) };
            }),
        })),
      ],
    },
  });
  return handlers;
}

async function findDevice(tx: Tx, call: MaasCall): Promise<StoredRecord | null> {
  return tx.records.findByName('device', call.param('system_id'));
}

/** @throws MaasRefusal 403 for somebody else's device */
function refuseForeign({ body }: StoredRecord, { user }: MaasCall): void {
  if (!user.isAdmin && body['owner'] !== user.principal.name) throw new MaasRefusal(403, 'Forbidden');
}

function nicOf(mac: string, index: number): Device['interfaces'][number] {
  return {
    id: index + 1,
    kind: 'physical',
    name: `eth${index}`,
    mac,
    vlan: null,
    parents: [],
    enabled: true,
    tags: [],
    params: {},
    links: [],
  };
}

async function refuseTakenMacs(tx: Tx, macs: readonly string[]): Promise<void> {
  const holders = new Map<string, string>();
  for (const { hostname, interfaces } of (await tx.records.list('device')).map(toDevice))
    for (const { mac } of interfaces) holders.set(mac.toLowerCase(), hostname);
  const machines = await tx.machines.shown(await tx.machines.idsOfMacs(macs.map((mac) => parseMac(mac))));
  for (const { hostname, nics } of machines) for (const { mac } of nics) holders.set(mac, hostname);
  const taken = macs.find((mac) => holders.has(mac));
  if (taken !== undefined)
    throw invalidField('mac_addresses', `MAC address ${taken} already in use on ${holders.get(taken)!}.`);
}

async function domainOf(tx: Tx, said: string): Promise<string> {
  if (said === '' || said === defaultDomain) return defaultDomain;
  const found = await findBySpecifier(tx, 'domain', said);
  if (!found) throw noChoice('domain');
  return found.name!;
}

async function zoneOf(tx: Tx, said: string): Promise<string> {
  if (said === '' || said === defaultZone) return defaultZone;
  if (!(await tx.records.findByName('zone', said))) throw noChoice('zone');
  return said;
}

async function parentOf(tx: Tx, said: string): Promise<string> {
  if (said === '') return '';
  const machine = (await tx.machines.shown([said as MachineId])).length > 0;
  if (!machine && !(await tx.records.findByName('device', said))) throw notFound('Node');
  return said;
}

function isAsked(device: Device, fields: Fields): boolean {
  const fits = (name: string, values: readonly string[]): boolean => {
    const wanted = fields.all(name).map((value) => (name === 'mac_address' ? value.toLowerCase() : value));
    return wanted.length === 0 || values.some((value) => wanted.includes(value));
  };
  return (
    fits('id', [device.systemId]) &&
    fits('hostname', [device.hostname]) &&
    fits('domain', [device.domain]) &&
    fits('zone', [device.zone]) &&
    fits(
      'mac_address',
      device.interfaces.map(({ mac }) => mac.toLowerCase()),
    )
  );
}
