import type { PhaseOrder } from '../../../../plugin-api/index.ts';
import type { PhaseParts } from './maas-host.ts';
import { MaasError } from './maas-error.ts';
import type { MaasMachine } from './maas-shapes.ts';

/**
 * The one machine in MAAS that has any of the order's NICs; null where there is none.
 * @throws MaasError `maas.machine-ambiguous`
 */
export async function findByMacs(
  { api }: PhaseParts,
  order: Pick<PhaseOrder, 'macs' | 'hostname'>,
  signal?: AbortSignal,
): Promise<MaasMachine | null> {
  const found = await api.machinesByMac(order.macs, signal);
  const ids = new Set(found.map(({ system_id: id }) => id));
  if (ids.size > 1) throw ambiguous(api.where, order.hostname, 'NICs', [...ids]);
  return found[0] ?? null;
}

/** The machine as MAAS knows it. @throws MaasError `maas.refused` where no machine has its NICs */
export async function requireMachine(
  parts: PhaseParts,
  order: Pick<PhaseOrder, 'macs' | 'hostname'>,
  signal?: AbortSignal,
): Promise<MaasMachine> {
  const machine = await findByMacs(parts, order, signal);
  if (machine) return machine;
  throw new MaasError({
    code: 'maas.machine-lost',
    what: `no machine there has a NIC of ${order.hostname}`,
    where: parts.api.where,
    said: `asked for ${order.macs.join(', ')}`,
    status: null,
  });
}

export function ambiguous(where: string, hostname: string, by: string, ids: readonly string[]): MaasError {
  return new MaasError({
    code: 'maas.machine-ambiguous',
    what: `the ${by} of ${hostname} belong to machines ${ids.join(' and ')}`,
    where,
    status: null,
  });
}

/** Refuses a machine that is not ours to change, or not in a state for it. */
export function refuse(
  parts: PhaseParts,
  machine: MaasMachine,
  code: 'maas.machine-taken' | 'maas.state' | 'maas.busy',
  wanted: string,
): MaasError {
  const owner = machine.owner ? `, owner ${machine.owner}` : '';
  const order = machine.owner_data?.['csbm_order'];
  return new MaasError({
    code,
    what: `${machine.hostname} (${machine.system_id}) cannot be ${wanted}`,
    where: parts.api.where,
    said: `${machine.status_name}${owner}${order ? `, csbm order ${order}` : ''}`,
    status: null,
  });
}

/**
 * Makes a call that moves a machine to another state. Where its outcome is unknown, or MAAS says that the state does not fit, the
 * machine itself tells whether it was done: it may have been done by the call before, whose answer was lost.
 */
export async function moved(
  { api, host }: PhaseParts,
  systemId: string,
  call: () => Promise<MaasMachine>,
  reached: (machine: MaasMachine) => boolean,
  signal?: AbortSignal,
): Promise<MaasMachine> {
  try {
    return await call();
  } catch (thrown) {
    signal?.throwIfAborted();
    if (!(thrown instanceof MaasError)) throw thrown;
    if (!thrown.outcomeUnknown && thrown.status !== 409 && thrown.status !== 400) throw thrown;
    const machine = await api.machine(systemId, signal);
    if (!reached(machine)) throw thrown;
    host.log('info', 'MAAS had done it although it did not say so', { systemId, error: thrown.message });
    return machine;
  }
}

/** Something that is nice to have and no reason to fail. */
export async function attempt(
  { host }: PhaseParts,
  what: string,
  call: () => Promise<unknown>,
  signal?: AbortSignal,
): Promise<void> {
  try {
    await call();
  } catch (thrown) {
    signal?.throwIfAborted();
    if (!(thrown instanceof MaasError)) throw thrown;
    host.log('warn', `${what} did not work`, { error: thrown.message });
  }
}
