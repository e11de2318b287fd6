import type { Principal } from '../core/access/principal.ts';
import { parseScope } from '../core/access/scope.ts';
import type { Claim } from '../core/claim/claim.ts';
import type { Deployment } from '../core/claim/deployment.ts';
import { machineMacs, type Machine, type MachineId } from '../core/machine/machine.ts';
import type { PortRecord } from '../core/network/port-state.ts';
import type { Withholding } from '../core/quarantine/quarantine.ts';
import type { Switch, Wire } from '../core/rack/wiring.ts';
import type { OperationRecord, OperationState, StepRecord } from '../core/storage/journal-records.ts';
import type { Alarm, Storage, Tx } from '../core/storage/storage.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { withholdings } from './quarantine/withhold.ts';

/** A machine with what is going on there. */
export interface MachineSight {
  readonly machine: Machine;
  readonly claim: Claim | null;
  readonly deployment: Deployment | null;
  readonly active: OperationRecord | null;
  /** Why it gets no new claim, if it does not. */
  readonly withheld: Withholding | null;
}

export interface OperationQuery {
  /** System id or hostname. */
  readonly machine?: string | undefined;
  /** Only those that have not ended. */
  readonly active?: boolean | undefined;
}

const listed = 200;
const activeStates: readonly OperationState[] = ['running', 'undoing'];

type Reader = Pick<Principal, 'scope'>;

/**
 * What a principal may see. Lists hold what lies within its scope, and nothing else; a single thing outside it is answered as
 * one that does not exist.
 */
export class Queries {
  readonly #storage: Storage;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** In order of hostname; a fixed number of queries. */
  machines(reader: Reader): Promise<readonly MachineSight[]> {
    const scope = parseScope(reader.scope);
    return this.#storage.run(async (tx) => {
      const claims = new Map((await tx.claims.list()).map((claim) => [claim.machineId, claim]));
      const deployments = new Map((await tx.deployments.listCurrent()).map((one) => [one.machineId, one]));
      const active = new Map((await tx.journal.listActive()).map((one) => [one.machineId, one]));
      const machines = (await tx.machines.list()).filter((machine) => scope.includes(machine));
      const withheld = await withholdings(tx, machines);
      return machines.map((machine) => ({
        machine,
        claim: claims.get(machine.id) ?? null,
        deployment: deployments.get(machine.id) ?? null,
        active: active.get(machine.id) ?? null,
        withheld: withheld.get(machine.id) ?? null,
      }));
    });
  }

  /**
   * By system id, or by hostname.
   * @throws ServiceError `machine.unknown`
   */
  machine(reader: Reader, name: string): Promise<MachineSight> {
    return this.#storage.run(async (tx) => {
      const machine = await visibleMachine(tx, reader, name);
      return {
        machine,
        claim: await tx.claims.find(machine.id),
        deployment: await tx.deployments.current(machine.id),
        active: await tx.journal.active(machine.id),
        withheld: (await withholdings(tx, [machine])).get(machine.id) ?? null,
      };
    });
  }

  /** The newest first, 200 at most. */
  operations(
    reader: Reader,
    { machine, active = false }: OperationQuery,
  ): Promise<readonly OperationRecord[]> {
    return this.#storage.run(async (tx) => {
      const machineIds =
        machine === undefined
          ? await visibleIds(tx, reader)
          : [(await visibleMachine(tx, reader, machine)).id];
      return tx.journal.list({
        ...(machineIds && { machineIds }),
        ...(active && { states: activeStates }),
        limit: listed,
      });
    });
  }

  /** @throws ServiceError `request.not-found` */
  operation(
    reader: Reader,
    id: string,
  ): Promise<{ readonly operation: OperationRecord; readonly steps: readonly StepRecord[] }> {
    return this.#storage.run(async (tx) => {
      const operation = await tx.journal.find(id);
      if (operation && (await sees(tx, reader, operation.machineId)))
        return { operation, steps: await tx.journal.steps(id) };
      throw new ServiceError({ code: 'request.not-found', what: `there is no operation ${id}` });
    });
  }

  ports(reader: Reader): Promise<readonly PortRecord[]> {
    return this.#storage.run(async (tx) => {
      const ids = await visibleIds(tx, reader);
      const ports = await tx.ports.list();
      if (ids === null) return ports;
      const visible = new Set(ids);
      return ports.filter((port) => port.machineId !== null && visible.has(port.machineId));
    });
  }

  /** The wires of machines that the reader sees, and their switches; null before the first upload. */
  async rack(
    reader: Reader,
  ): Promise<{ readonly switches: readonly Switch[]; readonly wires: readonly Wire[] } | null> {
    return this.#storage.run(async (tx) => {
      if ((await tx.racks.configText()) === null) return null;
      const scope = parseScope(reader.scope);
      const switches = await tx.racks.switches();
      const wires = await tx.racks.wires();
      if (scope.whole) return { switches, wires };
      const macs = new Set(
        (await tx.machines.list()).filter((machine) => scope.includes(machine)).flatMap(machineMacs),
      );
      const mine = wires.filter((wire) => macs.has(wire.mac));
      const names = new Set(mine.map((wire) => wire.switch));
      return { switches: switches.filter((at) => names.has(at.name)), wires: mine };
    });
  }

  /** The newest first, 200 at most; those of no machine only for who sees everything. */
  alarms(reader: Reader): Promise<readonly Alarm[]> {
    return this.#storage.run(async (tx) => {
      const ids = await visibleIds(tx, reader);
      return ids === null ? tx.alarms.list(listed) : tx.alarms.list(listed, ids);
    });
  }

  /** Ids of the machines that the reader sees; null = all. */
  machineIds(reader: Reader): Promise<ReadonlySet<string> | null> {
    return this.#storage.run(async (tx) => {
      const ids = await visibleIds(tx, reader);
      return ids && new Set<string>(ids);
    });
  }
}

async function visibleIds(tx: Tx, reader: Reader): Promise<readonly MachineId[] | null> {
  const scope = parseScope(reader.scope);
  if (scope.whole) return null;
  return (await tx.machines.places()).filter((place) => scope.includes(place)).map(({ id }) => id);
}

async function sees(tx: Tx, reader: Reader, id: MachineId): Promise<boolean> {
  const scope = parseScope(reader.scope);
  if (scope.whole) return true;
  const machine = await tx.machines.find(id);
  return machine !== null && scope.includes(machine);
}

/** @throws ServiceError `machine.unknown`, also for one outside the scope */
export async function visibleMachine(tx: Tx, reader: Reader, name: string): Promise<Machine> {
  const machine = (await tx.machines.find(name as MachineId)) ?? (await tx.machines.findByHostname(name));
  if (machine && parseScope(reader.scope).includes(machine)) return machine;
  throw new ServiceError({ code: 'machine.unknown', what: `there is no machine "${name}"` });
}
