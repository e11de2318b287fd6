import {
  describePort,
  portSatisfies,
  type CodedError,
  type ObservedSwitch,
  type VlanId,
} from '../../../plugin-api/index.ts';
import { inTransit, type Machine, type MachineId } from '../../core/machine/machine.ts';
import { tenantVlans, type PortRecord } from '../../core/network/port-state.ts';
import type { Switch } from '../../core/rack/wiring.ts';
import { isOurs } from '../../core/quarantine/quarantine.ts';
import { finding, type Finding } from './finding.ts';
import { lateness } from './lateness.ts';
import type { DeviceReadings } from './read-devices.ts';
import type { ActiveOperation, StoredState } from './stored-state.ts';
import type { Timings } from '../timings.ts';

const day = 24 * 3_600_000;

/** Alarms of which the state itself tells, for as long as it lasts. */
const toldByState = new Set(['switch.unsaved']);

/** What the database alone tells: no device is asked for it. */
export function storedFindings(stored: StoredState, timings: Timings, now: number): readonly Finding[] {
  return [
    ...stored.machines.flatMap((machine) => withheld(machine)),
    ...stored.machines.filter((machine) => isStuck(stored, machine)).map(stuck),
    ...stored.quarantines
      .filter(({ kind }) => kind !== 'machine')
      .map((record) => {
        const { kind, name, reason, since, count, code } = record;
        const by = isOurs(record) ? null : record.by;
        return finding({
          code: 'device.withheld',
          where: kind === 'bmc' ? `BMC of ${hostnameOf(stored, name)}` : `${kind} ${name}`,
          what: `in quarantine${by === null ? '' : ` by ${by}`}, met ${count} time${count === 1 ? '' : 's'}: ${reason} [${code}]`,
          since,
          by,
          machineId: stored.machines.find(({ id }) => kind === 'bmc' && id === name)?.id ?? null,
          switch: kind === 'bmc' || kind === 'machine' ? null : name.split(' ')[0]!,
        });
      }),
    ...stored.switches
      .filter((at) => at.unsavedSince !== null)
      .map((at) =>
        finding({
          code: 'switch.unsaved',
          where: `switch ${at.name}`,
          what: 'changes work, but are not saved: a reload of the switch would lose them',
          since: at.unsavedSince,
          said:
            stored.alarms.find(({ code, text }) => code === 'switch.unsaved' && text.includes(at.name))
              ?.text ?? null,
          switch: at.name,
        }),
      ),
    ...[...stored.active.values()].flatMap((active) => late(stored, active, timings, now)),
    ...alarms(stored, now),
  ];
}

/**
 * What the devices show besides.
 * @param stored as it was before they were read
 * @param moving machines on which an operation ran meanwhile: what it does there is its own business
 */
export function deviceFindings(
  stored: StoredState,
  readings: DeviceReadings,
  moving: ReadonlySet<MachineId>,
): readonly Finding[] {
  return [...bmcFindings(stored, readings, moving), ...switchFindings(stored, readings, moving)];
}

function withheld({ id, hostname, quarantine }: Machine): Finding[] {
  if (!quarantine) return [];
  const { reason, since, fenced } = quarantine;
  return [
    finding({
      code: 'machine.withheld',
      where: hostname,
      what: `${fenced ? 'fenced, its ports are shut' : 'withheld from new claims'}: ${reason}`,
      since,
      machineId: id,
    }),
  ];
}

/** Its erase could not be begun, say, because the database was away. */
function isStuck({ active, claims }: StoredState, { id, quarantine, state }: Machine): boolean {
  if (quarantine || active.has(id)) return false;
  return inTransit.includes(state) || (state === 'failed' && !claims.has(id));
}

function stuck({ id, hostname, state }: Machine): Finding {
  return finding({
    code: 'machine.stuck',
    where: hostname,
    what: `it is ${state}, and no operation runs there`,
    machineId: id,
  });
}

function late(stored: StoredState, active: ActiveOperation, timings: Timings, now: number): Finding[] {
  const found = lateness(active, timings, now);
  if (!found) return [];
  const { operation } = active;
  return [
    finding({
      code: 'operation.late',
      where: `${hostnameOf(stored, operation.machineId)}, ${operation.kind} ${operation.id}`,
      what: found.what,
      since: found.since,
      said: found.said,
      machineId: operation.machineId,
    }),
  ];
}

/** An alarm tells what happened; what lasts is told by itself, with its own code. */
function alarms(stored: StoredState, now: number): Finding[] {
  const quarantines = new Set(
    stored.machines.flatMap(({ id, quarantine }) => (quarantine ? [`${id} ${quarantine.code}`] : [])),
  );
  return stored.alarms
    .filter(({ at, code, machineId, text }) => {
      if (now - at > day || toldByState.has(code) || quarantines.has(`${machineId} ${code}`)) return false;
      // Of a quarantine that was lifted since.
      return !text.includes(' is quarantined: ');
    })
    .map(({ at, code, machineId, text }) =>
      finding({
        code: 'alarm.recent',
        where: machineId === null ? 'the service' : hostnameOf(stored, machineId),
        what: `${text} [${code}]`,
        since: at,
        machineId,
      }),
    );
}

function bmcFindings(
  stored: StoredState,
  { bmcs }: DeviceReadings,
  moving: ReadonlySet<MachineId>,
): Finding[] {
  return stored.machines.flatMap((machine) => {
    const reading = bmcs.get(machine.id);
    if (!reading || 'busy' in reading) return [];
    if ('error' in reading) return [unread(machine, reading.error)];
    if (moving.has(machine.id)) return [];
    const { power } = reading;
    const known = machine.power;
    const told = { code: 'power.unexpected', where: machine.hostname, machineId: machine.id } as const;
    if (machine.state === 'ready' && power === 'on' && !stored.claims.has(machine.id))
      return [finding({ ...told, what: 'it is on, although nobody holds it', since: known?.at ?? null })];
    if (known && known.state !== power)
      return [
        finding({
          ...told,
          what: `it is ${power}; when it was last read it was ${known.state}`,
          since: known.at,
        }),
      ];
    return [];
  });
}

function unread(machine: Machine, error: CodedError): Finding {
  return finding({
    code: 'bmc.unreachable',
    where: `BMC of ${machine.hostname}${machine.bmc ? ` (${machine.bmc.host}:${machine.bmc.port})` : ''}`,
    what: `${error.what} [${error.code}]`,
    // The last time that it told something is the earliest moment from which it may have been silent.
    since: machine.power?.at ?? null,
    said: error.said ?? null,
    machineId: machine.id,
  });
}

function switchFindings(
  stored: StoredState,
  { switches }: DeviceReadings,
  moving: ReadonlySet<MachineId>,
): Finding[] {
  const still = stored.ports.filter(({ machineId }) => machineId === null || !moving.has(machineId));
  return stored.switches.flatMap((at) => {
    const reading = switches.get(at.name);
    if (!reading) return [];
    if ('error' in reading) {
      const { error } = reading;
      return [
        finding({
          code: 'switch.unreachable',
          where: `switch ${at.name} (${at.host})`,
          what: `${error.what} [${error.code}]`,
          said: error.said ?? null,
          switch: at.name,
        }),
      ];
    }
    const mine = still.filter((record) => record.switch === at.name);
    const drifted = mine.flatMap((record) => drift(stored, record, reading.seen));
    return [...drifted, ...uplinkFindings(stored, still, at, reading.seen)];
  });
}

function drift(stored: StoredState, record: PortRecord, seen: ObservedSwitch): Finding[] {
  const now = seen.ports.get(record.port);
  if (now && portSatisfies(now, record.desired, seen.defaultVlan)) return [];
  const machine = record.machineId === null ? null : hostnameOf(stored, record.machineId);
  const reached = record.observedVersion === record.desiredVersion;
  return [
    finding({
      code: 'port.drifted',
      where: `port ${record.switch} ${record.port}${machine === null ? '' : ` (${machine})`}`,
      what:
        `it is ${now ? describePort(now) : 'not there'}, and should be ${describePort(record.desired)} (${record.purpose})` +
        (reached ? '; it was so when it was last read' : '; it never was so'),
      since: record.observedAt,
      machineId: record.machineId,
      switch: record.switch,
    }),
  ];
}

/** VLANs in use on the fabric that an uplink of the switch lacks. */
function uplinkFindings(
  stored: StoredState,
  still: readonly PortRecord[],
  at: Switch,
  seen: ObservedSwitch,
): Finding[] {
  const fabric = new Map(
    stored.switches.filter((other) => other.fabric === at.fabric).map((other) => [other.name, other]),
  );
  const carried = new Set<VlanId>();
  if (at.provisioning !== 'default-vlan' && stored.ports.some((record) => fabric.has(record.switch)))
    carried.add(at.provisioning);
  for (const record of still)
    if (fabric.has(record.switch))
      for (const vlan of tenantVlans(record, fabric.get(record.switch))) carried.add(vlan);
  return at.uplinks.flatMap((uplink) => {
    const tagged = seen.ports.get(uplink)?.tagged ?? [];
    const missing = [...carried].filter((vlan) => !tagged.includes(vlan)).sort((a, b) => a - b);
    if (missing.length === 0) return [];
    return [
      finding({
        code: 'uplink.incomplete',
        where: `port ${at.name} ${uplink}`,
        what: `it does not carry VLAN ${missing.join(', ')}`,
        switch: at.name,
      }),
    ];
  });
}

function hostnameOf(stored: StoredState, id: string): string {
  return stored.machines.find((machine) => machine.id === id)?.hostname ?? id;
}
