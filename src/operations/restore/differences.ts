import {
  describePort,
  portSatisfies,
  type ObservedPort,
  type ObservedSwitch,
  type VlanId,
} from '../../../plugin-api/index.ts';
import { inTransit, type Machine, type MachineId } from '../../core/machine/machine.ts';
import type { PortRecord } from '../../core/network/port-state.ts';
import { connectedPorts, describePlace, type PortPlace, type Switch } from '../../core/rack/wiring.ts';
import type { Difference } from '../../core/storage/history-records.ts';
import type { DeviceReadings } from '../survey/read-devices.ts';
import type { StoredState } from '../survey/stored-state.ts';

/** A port of a machine as it is stored and as the switch shows it. */
export interface PortPair {
  readonly place: PortPlace;
  readonly at: Switch | null;
  readonly record: PortRecord | null;
  /** null = the switch was not read. */
  readonly seen: ObservedSwitch | null;
}

/** The ports that the machine is cabled to, and those that are wanted for it. */
export function portsOf(
  machine: Machine,
  stored: StoredState,
  readings: DeviceReadings,
): readonly PortPair[] {
  const places = new Map<string, PortPlace>();
  const records = stored.ports.filter(({ machineId }) => machineId === machine.id);
  for (const place of [...connectedPorts(machine, stored.wires), ...records])
    places.set(`${place.switch} ${place.port}`, { switch: place.switch, port: place.port });
  return [...places.values()].map((place) => {
    const reading = readings.switches.get(place.switch);
    return {
      place,
      at: stored.switches.find(({ name }) => name === place.switch) ?? null,
      record: stored.ports.find((one) => one.switch === place.switch && one.port === place.port) ?? null,
      seen: reading && 'seen' in reading ? reading.seen : null,
    };
  });
}

/**
 * In what a machine is not as a restored database says, or may not be: then it is left alone until a person has decided.
 * @param lost operations on the machine that the database does not know; null = nobody can tell
 */
export function differencesOf(
  machine: Machine,
  stored: StoredState,
  readings: DeviceReadings,
  lost: ReadonlyMap<MachineId, number> | null,
): readonly Difference[] {
  return [
    ...journalDifferences(machine, stored, lost),
    ...powerDifferences(machine, stored, readings),
    ...portDifferences(machine, stored, readings, lost),
  ];
}

/** A port in VLANs of ours of which the database knows nothing: of a machine that came later than the database. */
export interface Stranger {
  readonly place: PortPlace;
  readonly at: Switch;
  readonly now: ObservedPort;
}

export function strangersOf(stored: StoredState, readings: DeviceReadings): readonly Stranger[] {
  const places = [
    ...stored.ports,
    ...stored.machines.flatMap((machine) => connectedPorts(machine, stored.wires)),
    ...stored.switches.flatMap((at) => at.uplinks.map((port) => ({ switch: at.name, port }))),
  ];
  const known = new Set(places.map(describePlace));
  return stored.switches.flatMap((at) => {
    const reading = readings.switches.get(at.name);
    if (!reading || !('seen' in reading)) return [];
    const { ports, vlans } = reading.seen;
    return [...ports].flatMap(([port, now]): Stranger[] => {
      const place = { switch: at.name, port };
      const ours = tenantsIn(now, at).some((vlan) => vlans.get(vlan as VlanId)?.ours);
      return ours && !known.has(describePlace(place)) ? [{ place, at, now }] : [];
    });
  });
}

/** What differs of machines that the database does not know. */
export function unknownDifferences(
  stored: StoredState,
  readings: DeviceReadings,
  lost: ReadonlyMap<MachineId, number> | null,
): readonly Difference[] {
  const known = new Set(stored.machines.map(({ id }) => id));
  return [
    ...[...(lost ?? [])]
      .filter(([id]) => !known.has(id))
      .map(([id, count]) => ({
        kind: 'history',
        what: `${count} operation${count === 1 ? '' : 's'} began on the machine ${id}, which the database does not know: enrol it again`,
      })),
    ...strangersOf(stored, readings).map(({ place, now }) => ({
      kind: 'ports',
      what: `port ${describePlace(place)} is ${describePort(now)}, in VLANs of an instance, and no machine of the database is cabled to it`,
    })),
  ];
}

function journalDifferences(
  machine: Machine,
  stored: StoredState,
  lost: ReadonlyMap<MachineId, number> | null,
): Difference[] {
  const found: Difference[] = [];
  const active = stored.active.get(machine.id);
  if (active) {
    const { operation, step } = active;
    found.push({
      kind: 'operation',
      what: `the ${operation.kind} ${operation.id} was under way${step ? `, at ${step.name}` : ''}; it is not gone on with`,
    });
  } else if (inTransit.includes(machine.state))
    found.push({ kind: 'state', what: `it was ${machine.state}, and no operation tells why` });
  const claimed = stored.claims.has(machine.id);
  if (machine.state === 'failed' && !machine.clean && !claimed && !machine.quarantine)
    found.push({ kind: 'state', what: 'it was waiting for an erase, which may be long over' });
  const missing = lost?.get(machine.id) ?? 0;
  if (missing > 0)
    found.push({
      kind: 'history',
      what: `${missing} operation${missing === 1 ? '' : 's'} that began on it later ${missing === 1 ? 'is' : 'are'} not in the database`,
    });
  return found;
}

function powerDifferences(machine: Machine, stored: StoredState, readings: DeviceReadings): Difference[] {
  const reading = readings.bmcs.get(machine.id);
  if (!reading) return [];
  if ('error' in reading)
    return [{ kind: 'bmc', what: `its BMC could not be asked: ${reading.error.message}` }];
  if ('busy' in reading) return [{ kind: 'bmc', what: 'its BMC could not be asked: somebody else had it' }];
  const { power } = reading;
  const claim = stored.claims.get(machine.id);
  if (!claim && power === 'on' && machine.state !== 'new')
    return [{ kind: 'power', what: 'it is on, although nobody holds it' }];
  if (machine.power && machine.power.state !== power)
    return [
      {
        kind: 'power',
        what: `it is ${power}, and was ${machine.power.state}${claim ? ` when ${claim.externalId} held it` : ''}`,
      },
    ];
  return [];
}

function portDifferences(
  machine: Machine,
  stored: StoredState,
  readings: DeviceReadings,
  lost: ReadonlyMap<MachineId, number> | null,
): Difference[] {
  const pairs = portsOf(machine, stored, readings);
  // Only counting could tell that nothing happened there: a tenant's system may lie on a disk of a machine that is off.
  if (pairs.length === 0)
    return lost === null && machine.state !== 'new'
      ? [{ kind: 'unproven', what: 'no port of it is ours to read, so nothing shows who uses it' }]
      : [];
  return pairs.flatMap((pair): Difference[] => {
    const { at, place, record, seen } = pair;
    const name = `${place.switch} ${place.port}`;
    if (!seen || !at) return [{ kind: 'switch', what: `port ${name} could not be read` }];
    const now = seen.ports.get(place.port);
    const shown = now ? describePort(now) : 'not there';
    if (record) {
      if (now && portSatisfies(now, record.desired, seen.defaultVlan)) return [];
      const foreign =
        now && carriesForeign(now, record, at)
          ? ', VLANs of an instance that the database does not know'
          : '';
      return [
        { kind: 'ports', what: `port ${name} is ${shown}${foreign}; it was ${describePort(record.desired)}` },
      ];
    }
    if (!now || !tenantsIn(now, at).some((vlan) => seen.vlans.get(vlan as never)?.ours)) return [];
    return [{ kind: 'ports', what: `port ${name} is ${shown}, and the database knows nothing of it` }];
  });
}

/** VLANs on a port that are neither the provisioning network nor where unused ports wait. */
export function tenantsIn({ native, tagged }: ObservedPort, at: Switch): readonly number[] {
  const quiet = new Set<number | string | null>(['default', null, at.provisioning, at.park, at.defaultVlan]);
  return [native, ...tagged].filter(
    (vlan): vlan is Exclude<typeof vlan, 'default' | null> => !quiet.has(vlan),
  );
}

function carriesForeign(now: ObservedPort, { desired }: PortRecord, at: Switch): boolean {
  const wanted = new Set<unknown>([desired.native, ...desired.tagged]);
  return tenantsIn(now, at).some((vlan) => !wanted.has(vlan));
}
