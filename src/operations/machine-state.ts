import type { CodedError } from '../../plugin-api/index.ts';
import {
  machineTransitions,
  type Machine,
  type MachineId,
  type MachineState,
} from '../core/machine/machine.ts';
import { ourselves } from '../core/quarantine/quarantine.ts';
import { connectedPorts, describePlace } from '../core/rack/wiring.ts';
import type { Tx } from '../core/storage/storage.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { endQuarantine, enterQuarantine, type QuarantineReporting } from './quarantine/withhold.ts';

/** @throws ServiceError `machine.unknown` */
export async function requireMachine(tx: Tx, id: MachineId): Promise<Machine> {
  const machine = await tx.machines.find(id);
  if (!machine) throw new ServiceError({ code: 'machine.unknown', what: `there is no machine ${id}` });
  return machine;
}

/** Moves a machine along its lifecycle, with whatever else changes at that moment. */
export async function moveMachine(
  tx: Tx,
  id: MachineId,
  to: MachineState,
  patch: Partial<Machine> = {},
): Promise<Machine> {
  const machine = await requireMachine(tx, id);
  if (machine.state !== to && !machineTransitions[machine.state].includes(to)) {
    throw new ServiceError({
      code: 'machine.state',
      what: `the machine is ${machine.state}; it cannot become ${to} now`,
      where: machine.hostname,
    });
  }
  return tx.machines.update({ ...machine, ...patch, state: to });
}

/** Withholds a machine from new claims and tells a person why. @param by principal who says so */
export async function quarantine(
  tx: Tx,
  reporting: QuarantineReporting,
  id: MachineId,
  error: CodedError,
  fenced: boolean,
  by: string = ourselves,
): Promise<void> {
  const machine = await tx.machines.find(id);
  if (!machine) return;
  const { code, message: reason } = error;
  await tx.machines.update({
    ...machine,
    quarantine: { code, reason, fenced, since: reporting.clock.now() },
  });
  const subject = { kind: 'machine', name: id } as const;
  await enterQuarantine(tx, reporting, { subject, label: machine.hostname, code, reason, by, machineId: id });
}

/** Makes a machine ready that was proven clean, and so ends its quarantine if there is one. */
export async function readyAgain(
  tx: Tx,
  reporting: QuarantineReporting,
  id: MachineId,
  because: string,
  patch: Partial<Machine> = {},
): Promise<void> {
  await moveMachine(tx, id, 'ready', { ...patch, quarantine: null });
  await endQuarantine(tx, reporting, { kind: 'machine', name: id }, { by: ourselves, because });
}

/**
 * Whether every port that the machine is connected to was read back shut by a fence. Ports that it had before it was cabled otherwise
 * say nothing about it.
 */
export async function isFenced(tx: Tx, id: MachineId): Promise<boolean> {
  const machine = await tx.machines.find(id);
  if (machine?.wiring !== 'managed') return false;
  const wires = await tx.racks.wiresOf(machine.nics.map(({ mac }) => mac));
  const ports = new Map((await tx.ports.ofMachine(id)).map((port) => [describePlace(port), port]));
  const connected = connectedPorts(machine, wires).map((place) => ports.get(describePlace(place)));
  return (
    connected.length > 0 &&
    connected.every((port) => port?.purpose === 'fenced' && port.observedVersion === port.desiredVersion)
  );
}
