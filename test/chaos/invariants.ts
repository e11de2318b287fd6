import { readFileSync } from 'node:fs';
import type { LabFloor, Violation } from '../../lab/floor/index.ts';
import { describePlace } from '../../lab/network/index.ts';
import { until } from '../support/until.ts';
import type { ChaosStage } from './chaos-stage.ts';
import type { CloudInstance } from './cloud-user.ts';

/** A machine as the service tells it. */
export interface MachineNow {
  readonly id: string;
  readonly hostname: string;
  readonly state: string;
  readonly claim: { readonly externalId: string } | null;
  readonly quarantine: { readonly code: string; readonly fenced: boolean } | null;
  readonly clean: { readonly grade: string } | null;
  readonly operation: { readonly id: string } | null;
}

export async function machinesNow(stage: ChaosStage): Promise<readonly MachineNow[]> {
  return ((await stage.ask('GET', '/machines')) as { readonly machines: readonly MachineNow[] }).machines;
}

/** The instance runs there and has its addresses, as the floor has it. @throws Error when it does not come to that */
export async function runningAs(stage: ChaosStage, instance: CloudInstance, machine: string): Promise<void> {
  const { floor } = stage;
  const row = () => floor.table().find((one) => one.machine === machine)!;
  const mac = instance.lab.nics![0]!.mac;
  await until(
    () => row().leases.some((lease) => lease.mac === mac && lease.vlan === instance.native),
    `the lease of ${instance.name} in VLAN ${instance.native} on ${machine}; there is: ${JSON.stringify(row().leases)}`,
  );
  const { ports } = row();
  const wrong = ports.find(
    ({ native, up, tagged }) =>
      !up || native !== instance.native || tagged.join() !== ports[0]!.tagged.join(),
  );
  if (wrong)
    throw new Error(
      `${instance.name} runs, and ${wrong.port} is not as it must be: ${JSON.stringify(ports)}`,
    );
}

/** What is not as it must be when nobody has anything: the floor, and what the service says of it. */
export async function atRest(stage: ChaosStage): Promise<readonly string[]> {
  const complaints: string[] = [];
  const machines = await machinesNow(stage);
  for (const row of stage.floor.table()) {
    const { machine } = stage.floor.find(row.machine);
    const told = machines.find(({ hostname }) => hostname === row.machine)!;
    if (told.state !== 'ready' || told.claim || told.quarantine || told.operation)
      complaints.push(`${row.machine} is not at rest: ${JSON.stringify(told)}`);
    if (told.state === 'ready' && told.clean?.grade !== 'full')
      complaints.push(
        `${row.machine} is ready without the evidence that was asked for: ${JSON.stringify(told.clean)}`,
      );
    if (row.power !== 'off') complaints.push(`${row.machine} is ${row.power} although nobody has it`);
    for (const port of row.ports)
      if (!port.up || port.native !== 100 || port.tagged.length > 0)
        complaints.push(`${port.port} is not back on the provisioning network: ${JSON.stringify(port)}`);
    for (const disk of machine.disks)
      if (told.state === 'ready' && !disk.read(0, disk.bytes).equals(Buffer.alloc(disk.bytes)))
        complaints.push(
          `${row.machine} is ready, and ${disk.name} is not blank: ${JSON.stringify(machine.diskContent(disk))}`,
        );
  }
  return complaints;
}

/**
 * Ports of machines that are open in the default VLAN of their switch, as they come to be so: nobody ever asks for that, but a
 * port that moves from one VLAN to another passes through it unless it is shut meanwhile (law 4e). The returned function ends it.
 */
export function watchDefaultVlan(floor: LabFloor, tell: (violation: Violation) => void): () => void {
  const there = new Set<string>();
  return floor.fabric.events.on('change', ({ switch: name }) => {
    const { model } = floor.switches.find((device) => device.name === name)!;
    for (const { machine } of floor.machines)
      for (const { place } of machine.nics) {
        if (place.switch !== name) continue;
        const text = describePlace(place);
        const port = floor.fabric.membership(place);
        if (!port?.up || port.native === null || port.native !== model.running.defaultVlan) {
          there.delete(text);
          continue;
        }
        if (there.has(text)) continue;
        there.add(text);
        const said = `${text} is open in the default VLAN ${port.native}`;
        tell({ law: '4e', machine: machine.name, said, at: Date.now() });
      }
  });
}

/** Switches that would lose something by a restart, without the service knowing it. */
export async function unsavedUnknown(stage: ChaosStage): Promise<readonly string[]> {
  const { switches } = (await stage.ask('GET', '/switches')) as {
    readonly switches: readonly { readonly name: string; readonly unsavedSince: number | null }[];
  };
  return stage.floor.switches.flatMap(({ name, model }) => {
    const told = switches.find((one) => one.name === name);
    return model.saved || told?.unsavedSince != null
      ? []
      : [`${name} is not saved, and nobody says so: ${JSON.stringify(told)}`];
  });
}

/** Where one of these texts can be read that must not be: logs, what the service tells, its database, the process list. */
export async function secretsShown(
  stage: ChaosStage,
  secrets: readonly string[],
  since: number,
): Promise<readonly string[]> {
  const { operations } = (await stage.ask('GET', '/operations')) as {
    readonly operations: readonly Readonly<Record<string, unknown>>[];
  };
  const own = operations.filter((one) => Number(one['createdAt']) >= since);
  const steps = await Promise.all(own.map((one) => stage.ask('GET', `/operations/${String(one['id'])}`)));
  const told = [steps];
  for (const route of ['/machines', '/switches', '/alarms', '/images'])
    told.push([await stage.ask('GET', route)]);
  const places: [string, Buffer][] = [
    ['the log', stage.logNews()],
    ['the admin API', Buffer.from(JSON.stringify(told))],
    ['the metrics', Buffer.from(await stage.metrics())],
    ...(await stage.database.contents()).map((bytes): [string, Buffer] => ['the database', bytes]),
  ];
  for (const pid of stage.pids) places.push(['the process list', readFileSync(`/proc/${pid}/cmdline`)]);
  return places.flatMap(([where, bytes]) =>
    secrets.flatMap((secret) => {
      const at = bytes.indexOf(secret);
      if (at < 0) return [];
      const around = bytes.subarray(Math.max(0, at - 120), at + 40).toString('latin1');
      return [`a planted secret is in ${where}: ...${around}`];
    }),
  );
}
