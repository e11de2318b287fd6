import { randomBytes } from 'node:crypto';
import { describePort, type CodedError, type ObservedPort, type PortId } from '../../../plugin-api/index.ts';
import type { Machine, MachineId } from '../../core/machine/machine.ts';
import {
  afterFailure,
  endsByCheck,
  isBmcTrouble,
  isReason,
  isSwitchTrouble,
  joined,
  ourselves,
  placeOfPort,
  portSubject,
  recent,
  subjectKey,
  type QuarantineRecord,
  type Subject,
  type Trouble,
  type TroubleRecord,
  type TroubleRule,
} from '../../core/quarantine/quarantine.ts';
import type { Storage, Tx } from '../../core/storage/storage.ts';
import { Mutex } from '../../kernel/concurrency/mutex.ts';
import { asCodedError } from '../../kernel/errors/service-error.ts';
import type { QuarantineSettings } from './quarantine-settings.ts';
import { endQuarantine, enterQuarantine, type Finding, type QuarantineReporting } from './withhold.ts';

export interface DeviceWatchParts extends QuarantineReporting {
  readonly storage: Storage;
  readonly settings: QuarantineSettings;
}

/** A port as it was just read. */
export interface PortReading {
  readonly port: PortId;
  readonly observed: ObservedPort | null;
  readonly asDesired: boolean;
}

/** What the database knows of a subject that fails, by our own clock. */
interface Stored extends Pick<TroubleRecord, 'begun' | 'revision'> {
  readonly trouble: Trouble;
}

/** Failures that are not written down yet. */
interface Failing {
  readonly trouble: Trouble;
  readonly rule: TroubleRule;
  /** Whatever the rule says: once is a reason. */
  readonly atOnce: boolean;
  readonly finding: (trouble: Trouble) => Omit<Finding, 'by' | 'subject'>;
}

/** What was heard of a subject and is not written down yet. */
interface Heard {
  readonly subject: Subject;
  /** It worked in between: what was counted before is over. */
  readonly over: boolean;
  readonly failing: Failing | null;
}

/** Subjects of one unit of work. */
const perUnit = 50;

/**
 * Hears how it goes with every device and puts those into quarantine that fail again and again. What fails is counted in the
 * database, for all instances and across restarts: a failure is written, and the first success after failures; a success of what did not
 * fail costs nothing. Nobody waits for it, and nothing fails because of it.
 */
export class DeviceWatch {
  readonly #parts: DeviceWatchParts;
  /** What fails, as last read or written. */
  #stored = new Map<string, Stored>();
  #heard = new Map<string, Heard>();
  /** What is just being written. */
  #underWay: ReadonlyMap<string, Heard> = new Map();
  /** Subjects that a passing check may free, as last read. */
  #withheld = new Set<string>();
  /** Whether what others, or an earlier process, counted is known. */
  #known = false;
  /** Reading and writing one after the other: what is known is never older than what was written. */
  readonly #turn = new Mutex();
  #scheduled = false;
  readonly #work = new Set<Promise<void>>();

  constructor(parts: DeviceWatchParts) {
    this.#parts = parts;
  }

  /**
   * Reads who is in quarantine, and what fails: other instances and people have a say in it. Gives what a passing check may
   * end. What could not be written before is tried again.
   */
  async refresh(): Promise<readonly QuarantineRecord[]> {
    const records = await this.#turn.run(() => this.#read());
    const { clock, settings } = this.#parts;
    for (const [key, { trouble }] of this.#stored)
      if (
        key.startsWith('port ') &&
        recent(trouble.moments, settings.portWithin, clock.monotonic()).length === 0
      )
        this.#over({ kind: 'port', name: key.slice('port '.length) });
    if (this.#heard.size > 0) this.#writeSoon();
    return records;
  }

  /** Switches that failed the last time, in quarantine or not. */
  switchesInTrouble(): readonly string[] {
    const prefix = 'switch ';
    const failing = new Set(this.#stored.keys());
    for (const [key, heard] of [...this.#underWay, ...this.#heard])
      if (heard.failing) failing.add(key);
      else failing.delete(key);
    return [...failing].flatMap((key) => (key.startsWith(prefix) ? [key.slice(prefix.length)] : []));
  }

  bmcFailed(machine: Machine, error: CodedError): void {
    const { settings } = this.#parts;
    if (!isBmcTrouble(error)) return;
    this.#failed(
      { kind: 'bmc', name: machine.id },
      { failures: settings.bmcFailures, lasting: settings.bmcDead },
      // Tried again and again, a wrong password locks the user out: once is enough to know.
      error.code === 'power.auth',
      () => ({
        label: `the BMC of ${machine.hostname}`,
        code: error.code,
        reason: reasonOf(error),
        machineId: machine.id,
      }),
    );
  }

  /** Its login was taken, and the power of the machine is known. */
  bmcAnswered(id: MachineId): void {
    const subject: Subject = { kind: 'bmc', name: id };
    if (this.#withheld.has(subjectKey(subject))) this.passed(subject, 'the BMC answers');
    else this.#worked(subject);
  }

  /** Ports were read back after they were set. */
  portsRead(name: string, readings: readonly PortReading[]): void {
    const { settings } = this.#parts;
    for (const { port, observed } of readings.filter(({ asDesired }) => !asDesired)) {
      const subject = portSubject({ switch: name, port });
      this.#failed(
        subject,
        { failures: settings.portFailures, within: settings.portWithin },
        false,
        ({ failures }) => ({
          label: `port ${subject.name}`,
          code: 'switch.not-verified',
          reason: `was not read back as desired ${failures} times; last it was ${observed ? describePort(observed) : 'not there'}`,
          machineId: null,
        }),
      );
    }
  }

  /** It could not be opened, did not save, or answered what cannot be. */
  switchFailed(name: string, error: CodedError): void {
    const { settings } = this.#parts;
    if (!isSwitchTrouble(error)) return;
    this.#failed(
      { kind: 'switch', name },
      { failures: settings.switchFailures, lasting: settings.switchDead },
      false,
      () => ({ label: `switch ${name}`, code: error.code, reason: reasonOf(error), machineId: null }),
    );
  }

  /** It was read, set and saved. Only a check of the whole switch ends its quarantine. */
  switchAnswered(name: string): void {
    this.#worked({ kind: 'switch', name });
  }

  /** A check passed: what no person said about the subject ends. */
  passed(subject: Subject, because: string): void {
    this.forgive(subject);
    const { log, storage } = this.#parts;
    this.#follow(
      storage
        .run(async (tx) => {
          await endQuarantine(tx, this.#parts, subject, { by: ourselves, because }, endsByCheck);
        })
        .catch((thrown: unknown) => {
          log.error({ error: asCodedError(thrown).message }, 'the end of a quarantine was not written down');
          // As it is in the database, so that the next success ends it.
          return this.refresh().then(
            () => undefined,
            () => undefined,
          );
        }),
    );
  }

  /** What was heard of the subject up to now no longer counts. */
  forgive(subject: Subject): void {
    this.#withheld.delete(subjectKey(subject));
    this.#over(subject);
  }

  /** Resolves when everything that was heard is written down, or could not be. */
  async settled(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work);
  }

  /** One more failure. What is withheld already is not counted: its quarantine ends by a check, and then it begins anew. */
  #failed(subject: Subject, rule: TroubleRule, atOnce: boolean, finding: Failing['finding']): void {
    const key = subjectKey(subject);
    if (this.#withheld.has(key)) return;
    const before = this.#heard.get(key);
    const trouble = afterFailure(before?.failing?.trouble ?? null, rule, this.#parts.clock.monotonic());
    this.#heard.set(key, {
      subject,
      over: before?.over ?? false,
      failing: { trouble, rule, atOnce: atOnce || before?.failing?.atOnce === true, finding },
    });
    this.#writeSoon();
  }

  #worked(subject: Subject): void {
    const key = subjectKey(subject);
    const counted = !this.#known || this.#stored.has(key) || this.#heard.has(key) || this.#underWay.has(key);
    if (counted) this.#over(subject);
  }

  #over(subject: Subject): void {
    this.#heard.set(subjectKey(subject), { subject, over: true, failing: null });
    this.#writeSoon();
  }

  /** One writer, however many devices fail at once: while it writes, what is heard gathers. */
  #writeSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const { log } = this.#parts;
    this.#follow(
      this.#turn
        .run(async () => {
          this.#scheduled = false;
          if (!this.#known) await this.#learn();
          while (this.#heard.size > 0) await this.#write();
        })
        .catch((thrown: unknown) => {
          // Kept, and written with the next failure, or the next look at quarantines.
          log.error({ error: asCodedError(thrown).message }, 'failures of devices were not written down');
        }),
    );
  }

  #follow(work: Promise<void>): void {
    this.#work.add(work);
    void work.finally(() => this.#work.delete(work));
  }

  /** Reads for the first time: what works and did not fail before needs no writing. */
  async #learn(): Promise<void> {
    await this.#read();
    for (const [key, { failing }] of this.#heard)
      if (!failing && !this.#stored.has(key)) this.#heard.delete(key);
  }

  async #read(): Promise<readonly QuarantineRecord[]> {
    const { clock, storage } = this.#parts;
    const { active, troubles } = await storage.run(async ({ quarantines }) => ({
      active: await quarantines.active(),
      troubles: await quarantines.troubles(),
    }));
    const now = clock.monotonic();
    this.#stored = new Map(
      troubles.map((record) => {
        const { begun, revision } = record;
        return [subjectKey(record), { begun, revision, trouble: this.#ours(record, now) }];
      }),
    );
    const records = active.filter(endsByCheck);
    this.#withheld = new Set(records.map(subjectKey));
    this.#known = true;
    return records;
  }

  /** A record by our own clock. What was known before keeps its moments: it grows older while we look on. */
  #ours({ kind, name, begun, revision, failures, ages }: TroubleRecord, now: number): Trouble {
    const known = this.#stored.get(subjectKey({ kind, name }));
    const same = known?.begun === begun ? known : null;
    if (same?.revision === revision) return same.trouble;
    const moments = ages.map((age) => now - age).sort((a, b) => a - b);
    if (!same || kind === 'port') return { failures, moments };
    return { failures, moments: [Math.min(...moments, ...same.trouble.moments)] };
  }

  /** Writes the next that was heard, in one unit; what cannot be written is kept. */
  async #write(): Promise<void> {
    // In one order everywhere, so that instances wait for each other instead of against each other.
    const some = [...this.#heard].slice(0, perUnit).sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [key] of some) this.#heard.delete(key);
    this.#underWay = new Map(some);
    try {
      const written = await this.#parts.storage.run(async (tx) => {
        const outcomes: (readonly [string, Stored | 'withheld' | null])[] = [];
        for (const [key, heard] of some) outcomes.push([key, await this.#settle(tx, heard)]);
        return outcomes;
      });
      for (const [key, outcome] of written) {
        if (outcome === null || outcome === 'withheld') this.#stored.delete(key);
        else this.#stored.set(key, outcome);
        if (outcome === 'withheld') this.#withheld.add(key);
      }
    } catch (thrown) {
      for (const [key, heard] of some) this.#heard.set(key, this.#after(heard, this.#heard.get(key)));
      throw thrown;
    } finally {
      this.#underWay = new Map();
    }
  }

  #after(earlier: Heard, later: Heard | undefined): Heard {
    if (!later) return earlier;
    if (later.over || !later.failing || !earlier.failing)
      return { ...later, over: later.over || earlier.over };
    const { rule, trouble } = later.failing;
    const both = joined(earlier.failing.trouble, trouble, rule, this.#parts.clock.monotonic());
    const atOnce = earlier.failing.atOnce || later.failing.atOnce;
    return { ...later, over: earlier.over, failing: { ...later.failing, trouble: both, atOnce } };
  }

  /** Counts what was heard of one subject to what everybody heard of it; what that is a reason for begins with it. */
  async #settle(tx: Tx, { subject, over, failing }: Heard): Promise<Stored | 'withheld' | null> {
    const found = await tx.quarantines.troubleForChange(subject);
    const record = over ? null : found;
    if (!failing) {
      if (found) await tx.quarantines.forgetTrouble(subject);
      return null;
    }
    const { rule, atOnce, finding } = failing;
    const now = this.#parts.clock.monotonic();
    const trouble = joined(record && this.#ours(record, now), failing.trouble, rule, now);
    if (atOnce || isReason(trouble, rule, now)) {
      const reason = finding(trouble);
      const machineId = reason.machineId ?? (await machineOf(tx, subject));
      await enterQuarantine(tx, this.#parts, { ...reason, subject, machineId, by: ourselves });
      if (found) await tx.quarantines.forgetTrouble(subject);
      return 'withheld';
    }
    const { failures, moments } = trouble;
    const ages = moments.map((at) => Math.max(0, Math.round(now - at)));
    const begun = record?.begun ?? randomBytes(12).toString('hex');
    const revision = (record?.revision ?? 0) + 1;
    await tx.quarantines.putTrouble({ ...subject, failures, ages, begun, revision });
    return { trouble, begun, revision };
  }
}

/** The machine that a port was last set for. */
async function machineOf(tx: Tx, { kind, name }: Subject): Promise<MachineId | null> {
  if (kind !== 'port') return null;
  const place = placeOfPort(name);
  return (await tx.ports.find(place.switch, place.port))?.machineId ?? null;
}

/** What was wrong, without what to do: that is said where the quarantine is shown. */
function reasonOf({ what, said }: CodedError): string {
  return said === undefined ? what : `${what}: ${said}`;
}
