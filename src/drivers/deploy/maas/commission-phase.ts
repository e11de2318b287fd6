import type { MachineForPhase, PhaseOrder, PhaseProgress } from '../../../../plugin-api/index.ts';
import { inventoryOf, maasArchitecture } from './inventory.ts';
import { ambiguous, findByMacs, moved, refuse } from './machine-lookup.ts';
import { MaasError } from './maas-error.ts';
import type { PhaseParts } from './maas-host.ts';
import { status, type MaasMachine } from './maas-shapes.ts';
import type { OrderNote } from './order-note.ts';
import { failed, running, type PhaseView } from './phase-view.ts';

type CommissionOrder = Extract<PhaseOrder, { phase: 'commission' }>;

const commissionable: readonly number[] = [
  status.new,
  status.failedCommissioning,
  status.failedTesting,
  status.broken,
];
const underWay: readonly number[] = [status.commissioning, status.testing];
/** What an erase begins with: a machine in it was commissioned before. */
const leftOvers: readonly number[] = [
  status.allocated,
  status.failedDeployment,
  status.failedDiskErasing,
  status.releasingFailed,
];

/** The machine in MAAS: by the MAC of any NIC, else by its BMC's address. */
export async function lookUp(
  parts: PhaseParts,
  order: MachineForPhase,
  signal?: AbortSignal,
): Promise<MaasMachine | null> {
  return (await findByMacs(parts, order, signal)) ?? (await findByBmc(parts, order, signal));
}

/** The same, else a new one. */
export async function lookUpOrCreate(
  parts: PhaseParts,
  order: CommissionOrder,
  signal?: AbortSignal,
): Promise<MaasMachine> {
  const known = await lookUp(parts, order, signal);
  if (known) return known;
  const { bmc, hostname, macs } = order;
  if (!bmc)
    throw new MaasError({
      code: 'maas.machine-lost',
      what: `no machine there has a NIC of ${hostname}, and its BMC is not known`,
      where: parts.api.where,
      status: null,
    });
  try {
    return await parts.api.create(
      {
        hostname,
        macs,
        bmc,
        architecture: maasArchitecture(order.architecture),
        firmware: order.firmware ?? 'legacy',
        pool: parts.settings.pool,
      },
      signal,
    );
  } catch (thrown) {
    signal?.throwIfAborted();
    if (!(thrown instanceof MaasError) || !(thrown.outcomeUnknown || thrown.status === 400)) throw thrown;
    // Made, but not said; or made by the attempt before, and now refused as a MAC that is in use.
    const made = await findByMacs(parts, order, signal);
    if (!made) throw thrown;
    return made;
  }
}

async function findByBmc(
  parts: PhaseParts,
  { bmc, hostname }: MachineForPhase,
  signal?: AbortSignal,
): Promise<MaasMachine | null> {
  if (!bmc) return null;
  let ids: readonly string[];
  try {
    ids = await parts.api.systemIdsByBmc(bmc, signal);
  } catch (thrown) {
    // Not for everybody; and the address is only the second way to find it.
    if (thrown instanceof MaasError && (thrown.code === 'maas.credentials' || thrown.code === 'maas.refused'))
      return null;
    throw thrown;
  }
  if (ids.length > 1) throw ambiguous(parts.api.where, hostname, 'BMC', ids);
  return ids[0] === undefined ? null : parts.api.machine(ids[0], signal);
}

/** Has the machine commissioned, unless it is: then it is adopted as it is. */
export async function beginCommission(
  parts: PhaseParts,
  found: MaasMachine,
  signal?: AbortSignal,
): Promise<void> {
  const id = found.system_id;
  const unknown = found.cpu_count === 0 && found.physicalblockdevice_set.length === 0;
  if (commissionable.includes(found.status) || (found.status === status.ready && unknown)) {
    await moved(
      parts,
      id,
      () => parts.api.commission(id, signal),
      (now) => underWay.includes(now.status),
      signal,
    );
    return;
  }
  refuseInUse(parts, found, await parts.api.username(signal));
}

/** A machine that runs something is nobody's to take, not even our own: the erase that follows would end it. */
export function refuseInUse(parts: PhaseParts, machine: MaasMachine, me: string): void {
  const free = [status.ready, ...commissionable, ...underWay, ...(machine.owner === me ? leftOvers : [])];
  if (free.includes(machine.status)) return;
  throw refuse(parts, machine, machine.owner ? 'maas.machine-taken' : 'maas.state', 'commissioned');
}

export function commissionView(parts: PhaseParts, note: OrderNote, machine: MaasMachine): PhaseView {
  if (underWay.includes(machine.status)) return running(machine);
  if (machine.status === status.ready || leftOvers.includes(machine.status)) {
    const inventory = inventoryOf(machine);
    const evidence = {
      summary: `${parts.api.where}: ${machine.hostname} (${machine.system_id}) is ${machine.status_name}`,
      verified: true,
      data: { systemId: machine.system_id, status: machine.status_name },
    };
    const done: Omit<PhaseProgress, 'lastSeen'> = {
      state: 'done',
      activity: `MAAS: ${machine.status_name}`,
      percent: 100,
      evidence,
      inventory,
    };
    return { progress: done };
  }
  // MAAS may still show the state of before.
  const recent = parts.moments.since(machine.system_id, 'sent', note.at) < parts.settings.grace;
  if (recent && commissionable.includes(machine.status)) return running(machine);
  return failed(machine, 'deploy.agent-failed');
}
