import type { PhaseOrder } from '../../../../plugin-api/index.ts';
import { mainArchitecture } from './inventory.ts';
import { imagesOf, takesFirstBoot } from './images.ts';
import { prepareInterfaces } from './interfaces.ts';
import { attempt, moved, refuse } from './machine-lookup.ts';
import { MaasError } from './maas-error.ts';
import { commentOf, isUnder, orderKey, type PhaseParts } from './maas-host.ts';
import { status, type MaasMachine } from './maas-shapes.ts';
import { writeNote, type OrderNote } from './order-note.ts';
import { failed, running, type PhaseView } from './phase-view.ts';
import { retiringUserData } from './user-data.ts';
import { abortWhile, giveBackUnused } from './withdraw.ts';

type DeployOrder = Extract<PhaseOrder, { phase: 'deploy' }>;

const placed: readonly number[] = [status.deploying, status.deployed, status.failedDeployment];

/**
 * Allocates the machine, marks it with the order, makes its interfaces, and has it deployed. Each part is looked up before it is
 * done, so that it can be begun again at any point.
 */
export async function beginDeploy(
  parts: PhaseParts,
  order: DeployOrder,
  begun: OrderNote,
  signal?: AbortSignal,
): Promise<void> {
  const { api, host } = parts;
  const id = begun.systemId;
  const me = await api.username(signal);
  const before = await api.machine(id, signal);
  if (isUnder(before, me, order.id) && placed.includes(before.status)) {
    await writeNote(host.notes, order.id, { ...begun, sent: true, accepted: true, at: host.clock.now() });
    return;
  }
  refuseDisk(parts, order, before);
  await refuseImage(parts, order, before, signal);
  const held = await allocated(parts, order.id, begun, before, signal);
  const marked = await api.setOwnerData(
    id,
    { [orderKey]: order.id, csbm_machine: order.machineId, csbm_instance: order.firstBoot.instanceId },
    signal,
  );
  if (!isUnder(marked, me, order.id)) throw refuse(parts, marked, 'maas.state', 'marked with its order');
  if (marked.hostname !== order.firstBoot.hostname)
    await attempt(
      parts,
      'naming the machine',
      () => api.rename(id, order.firstBoot.hostname, signal),
      signal,
    );
  for (const tag of order.tags ?? [])
    await attempt(parts, `tag ${tag}`, () => api.tag(id, tag, signal), signal);
  const work = await prepareInterfaces(api, marked, order.nicPlan, signal);
  host.log('info', 'interfaces prepared in MAAS', { order: order.id, systemId: id, work });

  const sent = await writeNote(host.notes, order.id, { ...held, sent: true, at: host.clock.now() });
  const firstBoot = takesFirstBoot(order.image)
    ? retiringUserData(host.firstBootFiles(order.firstBoot, order.nicPlan), parts.settings.awaitFirstBoot)
    : null;
  try {
    await moved(
      parts,
      id,
      () => api.deploy(id, { image: order.image, userData: firstBoot, comment: commentOf(order.id) }, signal),
      (now) => isUnder(now, me, order.id) && placed.includes(now.status),
      signal,
    );
  } catch (thrown) {
    throw imageError(thrown) ?? thrown;
  }
  await writeNote(host.notes, order.id, { ...sent, accepted: true, at: host.clock.now() });
}

/** Makes a machine that is Ready ours; one that is Allocated to us is. */
export async function allocated(
  parts: PhaseParts,
  orderId: string,
  note: OrderNote,
  machine: MaasMachine,
  signal?: AbortSignal,
): Promise<OrderNote> {
  const { api, host } = parts;
  const wanted = note.phase === 'erase' ? 'erased' : 'deployed';
  const me = await api.username(signal);
  const isOurs = (now: MaasMachine): boolean => now.status === status.allocated && now.owner === me;
  refuseTaken(parts, machine, me, wanted);
  if (isOurs(machine)) return note;
  const held = await writeNote(host.notes, orderId, { ...note, fromReady: true });
  const id = machine.system_id;
  const now = await moved(parts, id, () => api.allocate(id, commentOf(orderId), signal), isOurs, signal);
  if (now.system_id !== id || !isOurs(now)) throw refuse(parts, now, 'maas.machine-taken', wanted);
  return held;
}

/** Free are the machines that are Ready, or Allocated to us. @throws MaasError `maas.machine-taken`, `maas.state` */
export function refuseTaken(
  parts: PhaseParts,
  machine: MaasMachine,
  me: string,
  wanted: 'deployed' | 'erased',
): void {
  const ours = machine.owner === me;
  if (machine.status === status.ready || (machine.status === status.allocated && ours)) return;
  throw refuse(parts, machine, machine.owner != null && !ours ? 'maas.machine-taken' : 'maas.state', wanted);
}

/** MAAS installs to its boot disk; an enrolment that names another one must not be passed over. */
function refuseDisk({ api }: PhaseParts, order: DeployOrder, machine: MaasMachine): void {
  const wanted = order.rootDisk.serial;
  const boot = machine.boot_disk?.serial;
  if (wanted === undefined || boot == null || boot === wanted) return;
  throw new MaasError({
    code: 'deploy.no-disk',
    what: `the boot disk of ${machine.hostname} there has the serial ${boot}, and the enrolment names ${wanted}`,
    where: api.where,
    remedy: 'set the boot disk in MAAS',
    status: null,
  });
}

async function refuseImage(
  { api }: PhaseParts,
  order: DeployOrder,
  machine: MaasMachine,
  signal?: AbortSignal,
): Promise<void> {
  const architecture = mainArchitecture(machine.architecture);
  const resources = await api.bootResources(signal);
  const known = resources.filter((resource) => imagesOf([resource])[0]!.name === order.image);
  const fitting = known.filter(
    (resource) =>
      architecture === '' ||
      resource.architecture === '' ||
      mainArchitecture(resource.architecture) === architecture,
  );
  if (fitting.length > 0) return;
  throw new MaasError({
    code: 'deploy.image-unknown',
    what: `there is no image "${order.image}" for ${architecture || 'any architecture'}`,
    where: api.where,
    ...(known.length > 0 && { said: `only for ${known.map((one) => one.architecture).join(', ')}` }),
    status: null,
  });
}

/** MAAS's complaint about `distro_series` as what it is: another machine would meet it too. */
function imageError(thrown: unknown): MaasError | null {
  if (!(thrown instanceof MaasError) || thrown.status !== 400) return null;
  if (!/distro_series|operating system .* is unavailable/i.test(thrown.said ?? '')) return null;
  const { what, said, status: code } = thrown;
  return new MaasError({
    code: 'deploy.image-unknown',
    what,
    where: thrown.where ?? '',
    said,
    status: code,
    cause: thrown,
  });
}

/**
 * What MAAS shows of a deploy. Deployed means that the installed system has begun its first boot; where that ends with a
 * power-off, the deploy is over only then: a machine that is switched off before may never learn who it is.
 */
export async function deployView(
  parts: PhaseParts,
  orderId: string,
  note: OrderNote,
  machine: MaasMachine,
  signal?: AbortSignal,
): Promise<PhaseView> {
  const { api, host, moments, settings } = parts;
  const me = await api.username(signal);
  const recent = moments.since(machine.system_id, 'sent', note.at) < settings.grace;
  if (!isUnder(machine, me, orderId)) {
    // Between allocation and mark it is nobody's yet.
    if (!note.accepted && !note.sent) return running(machine);
    return failed(machine, 'maas.machine-lost', 'it stands under this order no more');
  }
  switch (machine.status) {
    case status.deploying:
      return running(machine);
    case status.allocated:
      // Not sent yet, or so shortly ago that MAAS does not show it; later it was aborted there.
      if (!note.accepted || recent) return running(machine);
      return failed(machine, 'maas.machine-lost', 'the deployment was aborted in MAAS');
    case status.deployed:
      break;
    default:
      return failed(machine, 'deploy.agent-failed');
  }
  const image = deployedImage(machine);
  if (note.image !== undefined && image !== null && !sameImage(image, note.image))
    return failed(machine, 'maas.machine-lost', `${image} is installed instead of ${note.image}`);
  const waits = settings.awaitFirstBoot && takesFirstBoot(note.image ?? '');
  if (waits) {
    const since = note.deployedAt ?? host.clock.now();
    const power = await api.powerState(machine.system_id, signal).catch((thrown: unknown) => {
      if (thrown instanceof MaasError) return 'unknown';
      throw thrown;
    });
    if (power !== 'off') {
      if (moments.since(machine.system_id, 'deployed', since) > settings.firstBootWithin)
        return failed(machine, 'deploy.stalled', 'its first boot did not end with a power-off');
      const view = running(machine, `; waiting for the end of its first boot (power ${power})`);
      return note.deployedAt === undefined ? { ...view, note: { ...note, deployedAt: since } } : view;
    }
  }
  return {
    progress: {
      state: 'done',
      activity: `MAAS: ${machine.status_name}`,
      percent: 100,
      evidence: {
        summary:
          `${api.where}: ${machine.hostname} (${machine.system_id}) is Deployed with ${image ?? 'an image that MAAS does not name'}` +
          (waits ? ', and off after its first boot' : ''),
        verified: image !== null,
        data: { systemId: machine.system_id, status: machine.status_name, image, order: orderId },
      },
    },
  };
}

function deployedImage({ osystem, distro_series: series }: MaasMachine): string | null {
  if (!series) return null;
  return osystem && !series.includes('/') ? `${osystem}/${series}` : series;
}

function sameImage(shown: string, ordered: string): boolean {
  const series = (name: string): string => name.slice(name.indexOf('/') + 1);
  return shown === ordered || series(shown) === series(ordered);
}

/** Ends a deploy as far as it got. A machine that may have been written to stays ours, so that nobody gets its disks. */
export async function withdrawDeploy(
  parts: PhaseParts,
  orderId: string,
  note: OrderNote,
  machine: MaasMachine,
  signal?: AbortSignal,
): Promise<void> {
  const me = await parts.api.username(signal);
  const order = machine.owner_data?.[orderKey];
  if (machine.owner !== me || (order !== undefined && order !== '' && order !== orderId)) return;
  if (machine.status === status.deploying) await abortWhile(parts, machine, status.deploying, signal);
  else await giveBackUnused(parts, orderId, note, machine, signal);
}
