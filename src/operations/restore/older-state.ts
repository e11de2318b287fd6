import type { MachineId } from '../../core/machine/machine.ts';
import type { History, MachineHistory } from '../../core/storage/history-records.ts';
import type { RememberedHistory } from './history-file.ts';

/** What the file beside the database tells about it. */
export interface Recollection {
  /** Why the database is older than it was, for people; null = it is not. */
  readonly older: string | null;
  /** Operations that were begun on each machine and that the database does not know; null = nobody can tell. */
  readonly lost: ReadonlyMap<MachineId, number> | null;
}

/**
 * Whether the database is an older state of itself, or another one.
 * @param machinesThere whether it knows any machine: one that knows none can do no harm
 */
export function recollect(
  remembered: RememberedHistory | null,
  history: History,
  machines: readonly MachineHistory[],
  machinesThere: boolean,
): Recollection {
  if (!remembered) return { older: null, lost: null };
  if (remembered.databaseId !== history.databaseId) {
    const older = machinesThere ? 'it is not the database that was here the last time' : null;
    return { older, lost: null };
  }
  // A restore was accepted meanwhile by another instance: what this one remembers is of before.
  if (remembered.generation < history.generation) return { older: null, lost: null };
  const known = new Map(machines.map(({ machineId, operations }) => [machineId, operations]));
  const lost = new Map(
    [...remembered.machines]
      .map(([id, count]) => [id, count - (known.get(id) ?? 0)] as const)
      .filter(([, missing]) => missing > 0),
  );
  const count = [...lost.values()].reduce((sum, one) => sum + one, 0);
  if (count > 0)
    return { older: `it lacks ${count} operation${count === 1 ? '' : 's'} that began here`, lost };
  const before = remembered.generation > history.generation || remembered.starts > history.starts;
  return { older: before ? 'it is from before the last start of the service' : null, lost };
}
