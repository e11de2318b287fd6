import { describePort, type CodedError, type ObservedPort, type PortId } from '../../../plugin-api/index.ts';
import type { Machine, MachineId } from '../../core/machine/machine.ts';
import {
  afterFailure,
  endsByCheck,
  isBmcTrouble,
  isLasting,
  isSwitchTrouble,
  ourselves,
  placeOfPort,
  portSubject,
  recent,
  subjectKey,
  type QuarantineRecord,
  type Subject,
  type Trouble,
} from '../../core/quarantine/quarantine.ts';
import type { Tx } from '../../core/storage/storage.ts';
import { asCodedError } from '../../kernel/errors/service-error.ts';
import type { World } from '../world.ts';
import type { QuarantineSettings } from './quarantine-settings.ts';
import { endQuarantine, enterQuarantine, type Finding } from './withhold.ts';

export interface DeviceWatchParts extends Pick<World, 'storage' | 'clock' | 'log' | 'metrics'> {
  readonly settings: QuarantineSettings;
}

/** A port as it was just read. */
export interface PortReading {
  readonly port: PortId;
  readonly observed: ObservedPort | null;
  readonly asDesired: boolean;
}

/**
 * Hears how it goes with every device and puts those into quarantine that fail again and again. What was heard is kept in
 * memory: after a restart it takes as many failures as before. Nobody waits for it, and nothing fails because of it.
 */
export class DeviceWatch {
  readonly #parts: DeviceWatchParts;
  /** BMCs and switches that failed the last time. */
  readonly #troubles = new Map<string, Trouble>();
  /** When ports were not as desired. */
  readonly #missed = new Map<string, readonly number[]>();
  /** Subjects that a passing check may free, as last read. */
  #withheld = new Set<string>();
  readonly #work = new Set<Promise<void>>();

  constructor(parts: DeviceWatchParts) {
    this.#parts = parts;
  }

  /** Reads who is in quarantine: other instances and people have a say in it. Gives what a passing check may end. */
  async refresh(): Promise<readonly QuarantineRecord[]> {
    const { clock, settings, storage } = this.#parts;
    const records = (await storage.run((tx) => tx.quarantines.active())).filter(endsByCheck);
    this.#withheld = new Set(records.map(subjectKey));
    for (const [key, moments] of this.#missed)
      if (recent(moments, settings.portWithin, clock.monotonic()).length === 0) this.#missed.delete(key);
    return records;
  }

  /** Switches that failed the last time, in quarantine or not. */
  switchesInTrouble(): readonly string[] {
    const prefix = 'switch ';
    return [...this.#troubles.keys()].flatMap((key) =>
      key.startsWith(prefix) ? [key.slice(prefix.length)] : [],
    );
  }

  bmcFailed(machine: Machine, error: CodedError): void {
    const { settings } = this.#parts;
    if (!isBmcTrouble(error)) return;
    const subject: Subject = { kind: 'bmc', name: machine.id };
    const rule = { failures: settings.bmcFailures, lasting: settings.bmcDead };
    const lasting = this.#failed(subject, rule);
    // Tried again and again, a wrong password locks the user out: once is enough to know.
    if (!lasting && error.code !== 'power.auth') return;
    this.#enter({
      subject,
      label: `the BMC of ${machine.hostname}`,
      code: error.code,
      reason: reasonOf(error),
      machineId: machine.id,
    });
  }

  /** Its login was taken, and the power of the machine is known. */
  bmcAnswered(id: MachineId): void {
    const subject: Subject = { kind: 'bmc', name: id };
    if (this.#troubles.size > 0) this.#troubles.delete(subjectKey(subject));
    if (this.#withheld.has(subjectKey(subject))) this.passed(subject, 'the BMC answers');
  }

  /** Ports were read back after they were set. */
  portsRead(name: string, readings: readonly PortReading[]): void {
    const { clock, settings } = this.#parts;
    for (const { port, observed } of readings.filter(({ asDesired }) => !asDesired)) {
      const subject = portSubject({ switch: name, port });
      const key = subjectKey(subject);
      const now = clock.monotonic();
      const moments = [...recent(this.#missed.get(key) ?? [], settings.portWithin, now), now];
      this.#missed.set(key, moments.slice(-settings.portFailures));
      if (moments.length < settings.portFailures) continue;
      this.#enter({
        subject,
        label: `port ${subject.name}`,
        code: 'switch.not-verified',
        reason: `was not read back as desired ${moments.length} times; last it was ${observed ? describePort(observed) : 'not there'}`,
        machineId: null,
      });
    }
  }

  /** It could not be opened, did not save, or answered what cannot be. */
  switchFailed(name: string, error: CodedError): void {
    const { settings } = this.#parts;
    if (!isSwitchTrouble(error)) return;
    const subject: Subject = { kind: 'switch', name };
    const rule = { failures: settings.switchFailures, lasting: settings.switchDead };
    if (!this.#failed(subject, rule)) return;
    this.#enter({
      subject,
      label: `switch ${name}`,
      code: error.code,
      reason: reasonOf(error),
      machineId: null,
    });
  }

  /** It was read, set and saved. Only a check of the whole switch ends its quarantine. */
  switchAnswered(name: string): void {
    this.#troubles.delete(subjectKey({ kind: 'switch', name }));
  }

  /** A check passed: what no person said about the subject ends. */
  passed(subject: Subject, because: string): void {
    this.forgive(subject);
    this.#later(async (tx) => {
      await endQuarantine(tx, this.#parts, subject, { by: ourselves, because }, endsByCheck);
    });
  }

  /** What was heard of the subject up to now no longer counts. */
  forgive(subject: Subject): void {
    const key = subjectKey(subject);
    this.#troubles.delete(key);
    this.#missed.delete(key);
    this.#withheld.delete(key);
  }

  /** Resolves when everything that was heard is written down. */
  async settled(): Promise<void> {
    while (this.#work.size > 0) await Promise.all(this.#work);
  }

  /** One more failure; whether they have lasted long enough. */
  #failed(subject: Subject, rule: { readonly failures: number; readonly lasting: number }): boolean {
    const key = subjectKey(subject);
    const now = this.#parts.clock.monotonic();
    const trouble = afterFailure(this.#troubles.get(key), now);
    this.#troubles.set(key, trouble);
    return isLasting(trouble, rule, now);
  }

  #enter(finding: Omit<Finding, 'by'>): void {
    const key = subjectKey(finding.subject);
    if (this.#withheld.has(key)) return;
    this.#withheld.add(key);
    this.#later(async (tx) => {
      const machineId = finding.machineId ?? (await machineOf(tx, finding.subject));
      await enterQuarantine(tx, this.#parts, { ...finding, machineId, by: ourselves });
    });
  }

  /** In a unit of its own: whoever tells of a device goes on meanwhile. Where it cannot be written, the next time is soon. */
  #later(change: (tx: Tx) => Promise<void>): void {
    const { log, storage } = this.#parts;
    const work = storage.run(change).catch((thrown: unknown) => {
      log.error({ error: asCodedError(thrown).message }, 'a quarantine was not written down');
      return this.refresh().then(
        () => undefined,
        () => undefined,
      );
    });
    this.#work.add(work);
    void work.finally(() => this.#work.delete(work));
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
