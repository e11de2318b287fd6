import { moved } from './machine-lookup.ts';
import type { PhaseParts } from './maas-host.ts';
import { status, type MaasMachine } from './maas-shapes.ts';
import type { OrderNote } from './order-note.ts';

/** Aborts what MAAS is doing with the machine, and waits until it has left that state. */
export async function abortWhile(
  parts: PhaseParts,
  machine: MaasMachine,
  doing: number,
  signal?: AbortSignal,
): Promise<void> {
  const { api } = parts;
  const id = machine.system_id;
  await moved(
    parts,
    id,
    async () => {
      await api.abort(id, signal);
      return api.machine(id, signal);
    },
    (now) => now.status !== doing,
    signal,
  );
}

/** Gives back a machine that was only allocated for the order: nothing was sent under it yet. */
export async function giveBackUnused(
  parts: PhaseParts,
  orderId: string,
  note: OrderNote,
  machine: MaasMachine,
  signal?: AbortSignal,
): Promise<void> {
  if (machine.status !== status.allocated || !note.fromReady || note.sent) return;
  const { api } = parts;
  const me = await api.username(signal);
  await moved(
    parts,
    machine.system_id,
    () => api.release(machine.system_id, [['comment', `csbm withdraws ${orderId}`]], signal),
    (now) => now.owner !== me,
    signal,
  );
}
