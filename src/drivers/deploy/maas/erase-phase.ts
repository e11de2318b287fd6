import type { PhaseOrder } from '../../../../plugin-api/index.ts';
import { allocated } from './deploy-phase.ts';
import { attempt, moved, refuse } from './machine-lookup.ts';
import type { Fields } from './maas-client.ts';
import { commentOf, isUnder, orderKey, type PhaseParts } from './maas-host.ts';
import { status, type MaasMachine } from './maas-shapes.ts';
import { writeNote, type OrderNote } from './order-note.ts';
import { failed, running, type PhaseView } from './phase-view.ts';
import { abortWhile, giveBackUnused } from './withdraw.ts';

type EraseOrder = Extract<PhaseOrder, { phase: 'erase' }>;
type Grade = EraseOrder['grade'];

/** The marks that a deploy puts on a machine. */
const tagPrefixes = ['accountid_', 'domainid_', 'projectid_'];

const underWay: readonly number[] = [status.diskErasing, status.releasing];
const releasable: readonly number[] = [
  status.allocated,
  status.deploying,
  status.deployed,
  status.failedDeployment,
  status.failedDiskErasing,
  status.releasingFailed,
  status.broken,
];

/**
 * MAAS's words for a grade. All three are always said: what is not said comes from MAAS's own settings. Secure falls back to
 * zeros over the whole disk where a disk has no secure erase, as ours does; with `quick_erase` beside it, it would to less.
 */
export function gradeFields(grade: Grade): Fields {
  return [
    ['erase', true],
    ['secure_erase', grade === 'secure'],
    ['quick_erase', grade === 'quick'],
  ];
}

/** Releases the machine with its disks erased. One that is Ready is allocated for it: only then does MAAS erase. */
export async function beginErase(
  parts: PhaseParts,
  order: EraseOrder,
  begun: OrderNote,
  signal?: AbortSignal,
): Promise<void> {
  const { api, host } = parts;
  const id = begun.systemId;
  if (begun.accepted) return;
  const before = await api.machine(id, signal);
  if (underWay.includes(before.status)) {
    // One that nobody here asked for says nothing about the grade.
    if (!begun.sent) throw refuse(parts, before, 'maas.busy', 'erased now');
    await accept(parts, order.id, begun, before);
    return;
  }
  const me = await api.username(signal);
  let held = begun;
  if (before.status === status.ready) held = await allocated(parts, order.id, begun, before, signal);
  else if (before.owner && before.owner !== me) throw refuse(parts, before, 'maas.machine-taken', 'erased');
  else if (!releasable.includes(before.status)) throw refuse(parts, before, 'maas.state', 'erased');
  if (before.status !== status.broken)
    await attempt(
      parts,
      'marking the machine',
      () => api.setOwnerData(id, { [orderKey]: order.id }, signal),
      signal,
    );
  for (const tag of before.tag_names.filter((name) => tagPrefixes.some((prefix) => name.startsWith(prefix))))
    await attempt(parts, `taking off tag ${tag}`, () => api.untag(id, tag, signal), signal);
  if (before.hostname !== order.hostname)
    await attempt(parts, 'naming the machine', () => api.rename(id, order.hostname, signal), signal);

  const sent = await writeNote(host.notes, order.id, { ...held, sent: true, at: host.clock.now() });
  const after = await moved(
    parts,
    id,
    () => api.release(id, [...gradeFields(order.grade), ['comment', commentOf(order.id)]], signal),
    (now) => underWay.includes(now.status) || now.status === status.failedDiskErasing,
    signal,
  );
  await accept(parts, order.id, sent, after);
}

async function accept(
  { host }: PhaseParts,
  orderId: string,
  note: OrderNote,
  machine: MaasMachine,
): Promise<void> {
  await writeNote(host.notes, orderId, {
    ...note,
    accepted: true,
    at: host.clock.now(),
    seen: strongest(note.seen, machine),
  });
}

function strongest(before: OrderNote['seen'], { status: now }: MaasMachine): NonNullable<OrderNote['seen']> {
  if (before === 'erasing' || now === status.diskErasing) return 'erasing';
  if (before === 'releasing' || now === status.releasing) return 'releasing';
  return 'nothing';
}

/** What MAAS shows of an erase. A machine that was never commissioned ends as New instead of Ready. */
export async function eraseView(
  parts: PhaseParts,
  orderId: string,
  note: OrderNote,
  machine: MaasMachine,
  signal?: AbortSignal,
): Promise<PhaseView> {
  const seen = strongest(note.seen, machine);
  const remembered = seen === (note.seen ?? 'nothing') ? {} : { note: { ...note, seen } };
  if (underWay.includes(machine.status)) return { ...running(machine), ...remembered };
  const over = machine.status === status.ready || machine.status === status.new;
  if (over && note.accepted && seen !== 'nothing') {
    if (await parts.api.eraseBrokenOff(machine.system_id, commentOf(orderId), signal))
      return failed(
        machine,
        'deploy.erase-unproven',
        'the erase was broken off in MAAS, and the machine released',
      );
    // MAAS tells that it erased, not how each disk took it.
    const how =
      seen === 'erasing' ? 'MAAS showed the erase' : 'MAAS showed the release only, not the erase itself';
    return {
      progress: {
        state: 'done',
        activity: `MAAS: ${machine.status_name}`,
        percent: 100,
        evidence: {
          summary: `${parts.api.where}: ${machine.hostname} (${machine.system_id}) is ${machine.status_name} after a release with grade ${note.grade}; ${how}, and does not say what each disk did`,
          verified: seen === 'erasing',
          data: { systemId: machine.system_id, status: machine.status_name, grade: note.grade ?? null, seen },
        },
      },
    };
  }
  // Not answered yet, or so shortly ago that MAAS may still show the state of before.
  const recent = parts.moments.since(machine.system_id, 'sent', note.at) < parts.settings.grace;
  if (!note.accepted || (seen === 'nothing' && recent)) return { ...running(machine), ...remembered };
  if (over) return failed(machine, 'deploy.erase-unproven', 'MAAS showed neither the release nor the erase');
  const failures: readonly number[] = [status.failedDiskErasing, status.releasingFailed];
  return failed(machine, failures.includes(machine.status) ? 'deploy.agent-failed' : 'maas.machine-lost');
}

/** Stops an erase that runs; a machine that was only allocated for it is given back. */
export async function withdrawErase(
  parts: PhaseParts,
  orderId: string,
  note: OrderNote,
  machine: MaasMachine,
  signal?: AbortSignal,
): Promise<void> {
  if (machine.status === status.diskErasing && note.sent) {
    await abortWhile(parts, machine, status.diskErasing, signal);
    return;
  }
  const me = await parts.api.username(signal);
  if (isUnder(machine, me, orderId)) await giveBackUnused(parts, orderId, note, machine, signal);
}
