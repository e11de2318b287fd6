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
  return record.since !== null && record.by === ourselves && record.kind !== 'machine';
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

/** How often something failed in a row, and since when by a monotonic clock. */
export interface Trouble {
  readonly failures: number;
  readonly since: number;
}

/** So many failures in a row, which have lasted so long, are a reason for a quarantine. */
export interface TroubleRule {
  readonly failures: number;
  /** Milliseconds. */
  readonly lasting: number;
}

/** One more failure. @param now monotonic milliseconds */
export function afterFailure(trouble: Trouble | undefined, now: number): Trouble {
  return { failures: (trouble?.failures ?? 0) + 1, since: trouble?.since ?? now };
}

export function isLasting(trouble: Trouble, rule: TroubleRule, now: number): boolean {
  return trouble.failures >= rule.failures && now - trouble.since >= rule.lasting;
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
