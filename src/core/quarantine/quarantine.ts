import type { CodedError } from '../../../plugin-api/index.ts';
import type { Machine } from '../machine/machine.ts';
import { describePlace, type PortPlace } from '../rack/wiring.ts';

/** What can be put into quarantine. */
export const subjectKinds = ['machine', 'port', 'switch', 'bmc'] as const;

export type SubjectKind = (typeof subjectKinds)[number];

/** One thing that can be put into quarantine. */
export interface Subject {
  readonly kind: SubjectKind;
  /** Of a machine, and of its BMC, the machine's id; of a switch its name; of a port `switch port`. */
  readonly name: string;
}

/** Why a subject is, or was, withheld: one for each reason that it was ever withheld for. */
export interface QuarantineRecord extends Subject {
  /** Code of the reason: of the failure that was met, or `quarantine.by-person`. */
  readonly code: string;
  readonly reason: string;
  /** Epoch milliseconds; null = lifted. */
  readonly since: number | null;
  /** Principal who said so, or `csbm`. */
  readonly by: string;
  /** How often it was withheld for this reason. */
  readonly count: number;
  /** When that was the last time, epoch milliseconds. */
  readonly lastAt: number;
  readonly liftedAt: number | null;
  /** Principal, or `csbm` for a check that passed. */
  readonly liftedBy: string | null;
  readonly liftedBecause: string | null;
}

/** Who withholds, and lifts, where no person does. */
export const ourselves = 'csbm';

export const byPerson = 'quarantine.by-person';

/** Whether a passing check may end it: what a person said stands until a person says otherwise. */
export function endsByCheck(record: QuarantineRecord): boolean {
  return record.since !== null && isOurs(record) && record.kind !== 'machine';
}

/** Whether no person said so: a person may have our name. */
export function isOurs({ by, code }: Pick<QuarantineRecord, 'by' | 'code'>): boolean {
  return by === ourselves && code !== byPerson;
}

export function portSubject(place: PortPlace): Subject {
  return { kind: 'port', name: describePlace(place) };
}

/** The switch and the port of a port's name. */
export function placeOfPort(name: string): PortPlace {
  const space = name.indexOf(' ');
  return { switch: name.slice(0, space), port: name.slice(space + 1) as PortPlace['port'] };
}

/** Why a machine gets no new claim. */
export type Withholding = Pick<QuarantineRecord, 'kind' | 'name' | 'code' | 'reason'> & {
  readonly since: number;
};

/** Records that are not lifted, by their subject; of several about one subject the first. */
export function bySubject(records: readonly QuarantineRecord[]): ReadonlyMap<string, QuarantineRecord> {
  const active = records.filter(({ since }) => since !== null);
  return new Map(active.toReversed().map((record) => [subjectKey(record), record]));
}

/** Tells subjects apart. */
export function subjectKey({ kind, name }: Subject): string {
  return `${kind} ${name}`;
}

/**
 * Why a machine is withheld from new claims: its own quarantine, else its BMC's, that of a port it is cabled to, or of a
 * switch it is cabled to; null = it is not.
 * @param active as `bySubject` gives them
 */
export function withholdingOf(
  { id, quarantine }: Pick<Machine, 'id' | 'quarantine'>,
  ports: readonly PortPlace[],
  active: ReadonlyMap<string, QuarantineRecord>,
): Withholding | null {
  if (quarantine) return { kind: 'machine', name: id, ...pick(quarantine) };
  const find = (kind: SubjectKind, names: readonly string[]): Withholding | null => {
    for (const name of names) {
      const found = active.get(subjectKey({ kind, name }));
      if (found?.since != null) return { kind, name, ...pick({ ...found, since: found.since }) };
    }
    return null;
  };
  return (
    find('bmc', [id]) ??
    find('port', ports.map(describePlace)) ??
    find(
      'switch',
      ports.map((port) => port.switch),
    )
  );
}

const subjectTexts: Readonly<Record<SubjectKind, (name: string) => string>> = {
  machine: () => 'the machine',
  bmc: () => 'its BMC',
  port: (name) => `its port ${name}`,
  switch: (name) => `its switch ${name}`,
};

/** Why, for people who look at the machine: `its BMC is in quarantine: ...`. */
export function describeWithholding({ kind, name, reason }: Withholding): string {
  return kind === 'machine' ? reason : `${subjectTexts[kind](name)} is in quarantine: ${reason}`;
}

/** What fails at the moment, as everybody on the database is to know it. */
export interface TroubleRecord extends Subject {
  /** In a row; of a port those of `ages`. */
  readonly failures: number;
  /**
   * How long ago it was when it was written, in milliseconds by a steady clock: the first failure of the row; of a port each time
   * that counts. Time in which nobody looks on does not count.
   */
  readonly ages: readonly number[];
  /** The same as long as it is the same row of failures. */
  readonly begun: string;
  /** How often it was written. */
  readonly revision: number;
}

/** The same by the monotonic clock of one process. */
export interface Trouble {
  readonly failures: number;
  /** Of the first failure of the row; of a port each that counts, the latest last. */
  readonly moments: readonly number[];
}

/** So many failures are a reason for a quarantine: in a row, and lasting so long; or within so long. Milliseconds. */
export type TroubleRule =
  | { readonly failures: number; readonly lasting: number }
  | { readonly failures: number; readonly within: number };

/** One more failure. @param now monotonic milliseconds */
export function afterFailure(trouble: Trouble | null, rule: TroubleRule, now: number): Trouble {
  return joined(trouble, { failures: 1, moments: [now] }, rule, now);
}

/** What was known, with what came later. */
export function joined(known: Trouble | null, later: Trouble, rule: TroubleRule, now: number): Trouble {
  const moments = [...(known?.moments ?? []), ...later.moments].sort((a, b) => a - b);
  if ('lasting' in rule)
    return { failures: (known?.failures ?? 0) + later.failures, moments: moments.slice(0, 1) };
  const counting = recent(moments, rule.within, now).slice(-rule.failures);
  return { failures: counting.length, moments: counting };
}

export function isReason({ failures, moments }: Trouble, rule: TroubleRule, now: number): boolean {
  if (failures < rule.failures) return false;
  return 'within' in rule || now - moments[0]! >= rule.lasting;
}

/** The moments within the last `within` milliseconds. */
export function recent(moments: readonly number[], within: number, now: number): readonly number[] {
  return moments.filter((at) => now - at < within);
}

const switchTrouble: ReadonlySet<string> = new Set([
  'switch.unreachable',
  'switch.transport',
  'switch.auth',
  'switch.host-key',
  'switch.crypto',
  'switch.session-lost',
  'switch.timeout',
  'switch.protocol',
  'switch.unsaved',
]);

/** Whether a failure says something about the switch itself, rather than about what was asked of it. */
export function isSwitchTrouble({ code }: Pick<CodedError, 'code'>): boolean {
  return switchTrouble.has(code);
}

/** Whether a reading failed for what the BMC did, rather than for something of our own. */
export function isBmcTrouble({ code }: Pick<CodedError, 'code'>): boolean {
  return code.startsWith('power.');
}

function pick({ code, reason, since }: Pick<Withholding, 'code' | 'reason' | 'since'>) {
  return { code, reason, since };
}
