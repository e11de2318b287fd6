import type { MachineId } from '../machine/machine.ts';

/** What a database says of itself. */
export interface History {
  /** Made with the database: a copy has the same. */
  readonly databaseId: string;
  /** Grows by one with each restore that a person accepted. */
  readonly generation: number;
  /** How often a service came up on it. */
  readonly starts: number;
  /** The last time that an older state came back; null = never. */
  readonly restored: Restored | null;
  readonly version: number;
}

export interface Restored {
  /** Epoch milliseconds when it was noticed, or restored. */
  readonly at: number;
  /** How it came about, for people. */
  readonly why: string;
  /** Epoch milliseconds of the backup; null where a file was put back by hand. */
  readonly backupAt: number | null;
  /** Epoch milliseconds when the devices were last compared; null = not yet. */
  readonly comparedAt: number | null;
  /** Epoch milliseconds when a person accepted it, or nothing differed; null = nothing may be done yet. */
  readonly acceptedAt: number | null;
  /** While it is not accepted: what the comparison found of machines that the database does not know. */
  readonly unknown?: readonly Difference[] | undefined;
}

/** One thing in which a machine is not, or may not be, as the restored database says. */
export interface Difference {
  /** Stable, for programs: `power`, `ports`, `operation`, ... */
  readonly kind: string;
  readonly what: string;
}

export interface MachineHistory {
  readonly machineId: MachineId;
  /** Operations that were ever begun on it. */
  readonly operations: number;
  /** While a restored database is not accepted: what the comparison found, or null before it. */
  readonly compared: readonly Difference[] | null;
}

export interface HistoryStore {
  /** Makes the record where there is none. */
  read(): Promise<History>;
  /** @throws `store.conflict` */
  update(history: History): Promise<History>;
  machines(): Promise<readonly MachineHistory[]>;
  putMachine(history: MachineHistory): Promise<void>;
  /** Counts one more operation of the machine, in the transaction that begins it; gives the new number. */
  advance(machineId: MachineId): Promise<number>;
}
