import type { Claim } from '../../core/claim/claim.ts';
import type { Deployment } from '../../core/claim/deployment.ts';
import type { Machine, MachineId } from '../../core/machine/machine.ts';
import type { PortRecord } from '../../core/network/port-state.ts';
import type { QuarantineRecord } from '../../core/quarantine/quarantine.ts';
import type { Switch, Wire } from '../../core/rack/wiring.ts';
import type { BootRecord } from '../../core/storage/boot-record.ts';
import type { OperationRecord, StepRecord } from '../../core/storage/journal-records.ts';
import type { Alarm, Storage } from '../../core/storage/storage.ts';

export interface ActiveOperation {
  readonly operation: OperationRecord;
  /** What it is at, or null before its first step. */
  readonly step: StepRecord | null;
  /** The boot conversation that the step waits for, if any. */
  readonly boot: BootRecord | null;
}

/** What the database says about everything that a survey compares: read in one unit of work. */
export interface StoredState {
  readonly machines: readonly Machine[];
  readonly claims: ReadonlyMap<MachineId, Claim>;
  readonly deployments: ReadonlyMap<MachineId, Deployment>;
  readonly ports: readonly PortRecord[];
  readonly switches: readonly Switch[];
  readonly wires: readonly Wire[];
  readonly active: ReadonlyMap<MachineId, ActiveOperation>;
  /** Operations ever begun on each. */
  readonly begun: ReadonlyMap<MachineId, number>;
  readonly quarantines: readonly QuarantineRecord[];
  /** The newest first. */
  readonly alarms: readonly Alarm[];
}

const recentAlarms = 200;

export function readStoredState(storage: Storage): Promise<StoredState> {
  return storage.run(async (tx) => {
    const active = new Map<MachineId, ActiveOperation>();
    for (const operation of await tx.journal.listActive()) {
      const steps = await tx.journal.steps(operation.id);
      const step = steps.at(-1) ?? null;
      const phase = /^(commission|deploy|erase)\./.exec(step?.name ?? '')?.[1];
      const boot = phase === undefined ? null : await tx.boots.find(`${operation.id}:${phase}`);
      active.set(operation.machineId, { operation, step, boot });
    }
    return {
      machines: await tx.machines.list(),
      claims: new Map((await tx.claims.list()).map((claim) => [claim.machineId, claim])),
      deployments: new Map((await tx.deployments.listCurrent()).map((one) => [one.machineId, one])),
      ports: await tx.ports.list(),
      switches: await tx.racks.switches(),
      wires: await tx.racks.wires(),
      active,
      begun: new Map((await tx.history.machines()).map((one) => [one.machineId, one.operations])),
      quarantines: await tx.quarantines.active(),
      alarms: await tx.alarms.list(recentAlarms),
    };
  });
}

/** Machines on which an operation ran at some moment from the first state to the second: what was read meanwhile may be its doing. */
export function movingBetween(first: StoredState, second: StoredState): ReadonlySet<MachineId> {
  const begun = [...second.begun].filter(([id, count]) => count !== (first.begun.get(id) ?? 0));
  return new Set([...first.active.keys(), ...second.active.keys(), ...begun.map(([id]) => id)]);
}
