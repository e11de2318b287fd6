import type { Clock } from '../../../plugin-api/index.ts';
import type { Machine, MachineId } from '../../core/machine/machine.ts';
import {
  bySubject,
  describeWithholding,
  endsByCheck,
  isOurs,
  withholdingOf,
  type QuarantineRecord,
  type Subject,
  type Withholding,
} from '../../core/quarantine/quarantine.ts';
import type { Tx } from '../../core/storage/storage.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { newSortableId } from '../../kernel/ids/ids.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { Metrics } from '../../kernel/metrics/metrics.ts';
import { recordQuarantine } from '../timeline/quarantine-events.ts';

/** What a quarantine is dated by and told to, besides the storage. */
export interface QuarantineReporting {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What is to be withheld, why, and who says so. */
export interface Finding {
  readonly subject: Subject;
  /** For people: `switch tor-a`. */
  readonly label: string;
  readonly code: string;
  readonly reason: string;
  /** Principal, or `csbm`. */
  readonly by: string;
  /** Whose alarm it is. */
  readonly machineId: MachineId | null;
}

/**
 * Puts a subject into quarantine, counts it, and tells a person.
 * @returns false = nothing new: a device that withheld itself is in quarantine once, whatever else is wrong with it
 */
export async function enterQuarantine(
  tx: Tx,
  { clock, log, metrics }: QuarantineReporting,
  finding: Finding,
): Promise<boolean> {
  const { subject, label, code, reason, by, machineId } = finding;
  const rows = await tx.quarantines.forChange(subject);
  const ours = isOurs(finding);
  if (ours && rows.some(endsByCheck)) return false;
  const known = rows.find((row) => row.code === code);
  const now = clock.now();
  const repeated = !ours && known?.since != null;
  await tx.quarantines.put({
    kind: subject.kind,
    name: subject.name,
    code,
    reason,
    by,
    since: known?.since ?? now,
    count: (known?.count ?? 0) + (repeated ? 0 : 1),
    lastAt: now,
    liftedAt: null,
    liftedBy: null,
    liftedBecause: null,
  });
  await recordQuarantine(tx, subject, { at: now, entered: true, code, reason, by });
  await tx.alarms.insert({
    id: newSortableId('al', now),
    at: now,
    code,
    machineId,
    text: `${label} is quarantined: ${reason}`,
  });
  metrics.alarms.inc({ code });
  log.error({ subject: label, code, by, reason }, 'quarantined');
  return true;
}

/** Ends the quarantines of a subject, or some of them. Gives those that it ended. */
export async function endQuarantine(
  tx: Tx,
  { clock, log }: Pick<QuarantineReporting, 'clock' | 'log'>,
  subject: Subject,
  { by, because }: { readonly by: string; readonly because: string },
  which: (record: QuarantineRecord) => boolean = () => true,
): Promise<readonly QuarantineRecord[]> {
  const ended = (await tx.quarantines.forChange(subject)).filter((row) => row.since !== null && which(row));
  const liftedAt = clock.now();
  for (const row of ended) {
    await tx.quarantines.put({ ...row, since: null, liftedAt, liftedBy: by, liftedBecause: because });
    const change = { at: liftedAt, entered: false, code: row.code, reason: because, by };
    await recordQuarantine(tx, subject, change);
  }
  if (ended.length > 0) log.info({ ...subject, by, because }, 'quarantine lifted');
  return ended;
}

/** Why which of the machines get no new claim: two queries at most. */
export async function withholdings(
  tx: Tx,
  machines: readonly Pick<Machine, 'id' | 'quarantine' | 'nics' | 'wiring'>[],
): Promise<ReadonlyMap<MachineId, Withholding>> {
  const active = await tx.quarantines.active();
  const anyPort = active.some(({ kind }) => kind === 'port' || kind === 'switch');
  const wired = anyPort ? machines.filter(({ wiring }) => wiring === 'managed') : [];
  const macs = wired.flatMap(({ nics }) => nics.map(({ mac }) => mac));
  const wires = new Map(
    macs.length > 0 ? (await tx.racks.wiresOf(macs)).map((wire) => [wire.mac, wire]) : [],
  );
  const known = bySubject(active);
  const found = new Map<MachineId, Withholding>();
  for (const machine of machines) {
    const ports = machine.nics.flatMap(({ mac }) => wires.get(mac) ?? []);
    const withheld = withholdingOf(machine, ports, known);
    if (withheld) found.set(machine.id, withheld);
  }
  return found;
}

/** @throws ServiceError `machine.quarantined` where the machine, or a device that it needs, is in quarantine */
export async function refuseWithheld(tx: Tx, machine: Machine): Promise<void> {
  const withheld = (await withholdings(tx, [machine])).get(machine.id);
  if (!withheld) return;
  throw new ServiceError({
    code: 'machine.quarantined',
    what: describeWithholding(withheld),
    where: machine.hostname,
    ...(withheld.kind !== 'machine' && {
      remedy: `cure it: the next check that passes lifts it; or csbm quarantine lift ${withheld.kind} ${
        withheld.kind === 'bmc' ? machine.hostname : withheld.name
      }`,
    }),
  });
}
