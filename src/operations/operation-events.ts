import type { PowerState } from '../../plugin-api/index.ts';
import type { MachineId } from '../core/machine/machine.ts';
import type { OperationRecord, StepRecord } from '../core/storage/journal-records.ts';

/** What the journal tells while it works; nobody may rely on it for truth, only to look sooner. */
export interface OperationEvents {
  operation: OperationRecord;
  step: StepRecord;
  /** A machine was enrolled, described anew, or forgotten. */
  machine: { readonly machineId: MachineId };
  /** The machine is carried out for by this instance from now on, or not any more. */
  lease: { readonly machineId: MachineId };
  /** The power of a machine was changed by somebody else: a button, another program, a shutdown from within. */
  power: { readonly machineId: MachineId; readonly state: PowerState };
  /** Something changed outside that the operation may wait for (a boot conversation, say). */
  wake: { readonly operationId: string };
}
