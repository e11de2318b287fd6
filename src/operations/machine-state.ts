import type { CodedError } from '../../plugin-api/index.ts';
import {
  machineTransitions,
  type Machine,
  type MachineId,
  type MachineState,
} from '../core/machine/machine.ts';
import type { Tx } from '../core/storage/storage.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { newSortableId } from '../kernel/ids/ids.ts';
import type { World } from './world.ts';

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

/** Withholds a machine from new claims and tells a person why. */
export async function quarantine(
  tx: Tx,
  world: World,
  id: MachineId,
  error: CodedError,
  fenced: boolean,
): Promise<void> {
  const machine = await tx.machines.find(id);
  if (!machine) return;
  const since = world.clock.now();
  await tx.machines.update({
    ...machine,
    quarantine: { code: error.code, reason: error.message, fenced, since },
  });
  await tx.alarms.insert({
    id: newSortableId('al', since),
    at: since,
    code: error.code,
    machineId: id,
    text: `${machine.hostname} is quarantined: ${error.message}`,
  });
  world.metrics.alarms.inc({ code: error.code });
  world.log.error({ machine: machine.hostname, code: error.code, fenced }, 'machine quarantined');
}

/** Whether every port of the machine was read back shut by a fence. */
export async function isFenced(tx: Tx, id: MachineId): Promise<boolean> {
  const ports = await tx.ports.ofMachine(id);
  return (
    ports.length > 0 &&
    ports.every((port) => port.purpose === 'fenced' && port.observedVersion === port.desiredVersion)
  );
}
