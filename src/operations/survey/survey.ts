import type { Clock } from '../../../plugin-api/index.ts';
import type { Principal } from '../../core/access/principal.ts';
import { parseScope } from '../../core/access/scope.ts';
import { connectedPorts } from '../../core/rack/wiring.ts';
import type { Storage } from '../../core/storage/storage.ts';
import { withDeadline } from '../../kernel/concurrency/deadline.ts';
import { orAborted } from '../../kernel/concurrency/or-aborted.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';
import type { Timings } from '../timings.ts';
import { deviceFindings, storedFindings } from './compare.ts';
import type { Finding } from './finding.ts';
import {
  readDevices,
  type DeviceReader,
  type DeviceReadings,
  type ReadingLimits,
  type ReadingProgress,
} from './read-devices.ts';
import { movingBetween, readStoredState, type StoredState } from './stored-state.ts';
import type { SurroundingsCheck } from './surroundings.ts';

export interface SurveyReport {
  /** Epoch milliseconds when it began. */
  readonly at: number;
  /** Milliseconds that it took. */
  readonly took: number;
  /** How many devices were asked. */
  readonly bmcs: number;
  readonly switches: number;
  readonly findings: readonly Finding[];
  /** Names of other instances of the service: their links, certificates and disks were not looked at. */
  readonly others: readonly string[];
}

export interface SurveyParts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly timings: Timings;
  readonly reader: DeviceReader;
  readonly limits: ReadingLimits & { readonly checkTimeout: ReadingLimits['bmcTimeout'] };
  /** What is looked at besides machines and switches. */
  readonly checks: readonly SurroundingsCheck[];
  /** Names of the other instances that live. */
  readonly others?: () => readonly string[];
}

export interface SurveyOptions {
  /** Asks no BMC and no switch. */
  readonly quick?: boolean | undefined;
  readonly onProgress?: ((progress: ReadingProgress) => void) | undefined;
}

type Reader = Pick<Principal, 'scope'>;

/** Looks at everything and changes nothing: reads every BMC and every switch, and compares with what is stored. */
export class Survey {
  readonly #parts: SurveyParts;
  /** The survey under way: whoever asks meanwhile gets the same one, so that devices are not asked twice. */
  #running: Promise<SurveyReport> | null = null;
  readonly #listeners = new Set<(progress: ReadingProgress) => void>();
  readonly #stopping = new AbortController();

  constructor(parts: SurveyParts) {
    this.#parts = parts;
  }

  /** Whatever lies in the reader's scope; what concerns the service as a whole only for who sees everything. */
  async take(reader: Reader, { quick = false, onProgress }: SurveyOptions = {}): Promise<SurveyReport> {
    if (quick) return this.#within(reader, await this.#take(true));
    // Everybody gets the same survey: what is read there may lie outside this one's scope.
    const nameless =
      onProgress && ((progress: ReadingProgress) => onProgress({ ...progress, last: 'a device' }));
    const listener = parseScope(reader.scope).whole ? onProgress : nameless;
    if (listener) this.#listeners.add(listener);
    try {
      this.#running ??= this.#take(false).finally(() => (this.#running = null));
      return await this.#within(reader, await this.#running);
    } finally {
      if (listener) this.#listeners.delete(listener);
    }
  }

  /** What is stored and what the devices show at about the same time, for who compares by himself. */
  async look(
    onProgress?: (progress: ReadingProgress) => void,
  ): Promise<{ readonly stored: StoredState; readonly readings: DeviceReadings }> {
    const { clock, limits, reader, storage } = this.#parts;
    const stored = await readStoredState(storage);
    const { signal } = this.#stopping;
    const readings = await readDevices({ stored, reader, limits, clock, onProgress, signal });
    return { stored, readings };
  }

  /** Ends a survey that is under way. */
  async stop(): Promise<void> {
    this.#stopping.abort(new ServiceError({ code: 'store.unavailable', what: 'the service is stopping' }));
    await this.#running?.catch(() => undefined);
  }

  async #take(quick: boolean): Promise<SurveyReport> {
    const { clock, timings } = this.#parts;
    const at = clock.now();
    const began = clock.monotonic();
    const checked = this.#checkAll();
    const none: DeviceReadings = { bmcs: new Map(), switches: new Map() };
    const { stored, readings } = quick
      ? { stored: await readStoredState(this.#parts.storage), readings: none }
      : await this.look((progress) => this.#listeners.forEach((listener) => listener(progress)));
    // Reading takes its time: what began or ended meanwhile is the reason for what was read.
    const after = quick ? stored : await readStoredState(this.#parts.storage);
    const findings = folded([
      ...storedFindings(after, timings, clock.now()),
      ...deviceFindings(stored, readings, movingBetween(stored, after)),
      ...(await checked),
    ]);
    return {
      at,
      took: Math.round(clock.monotonic() - began),
      bmcs: readings.bmcs.size,
      switches: readings.switches.size,
      findings,
      others: this.#parts.others?.() ?? [],
    };
  }

  async #checkAll(): Promise<readonly Finding[]> {
    const { checks, clock, limits } = this.#parts;
    const found = await Promise.all(
      checks.map((one) =>
        withDeadline(
          clock,
          limits.checkTimeout,
          () => new ServiceError({ code: 'service.unreachable', what: 'no answer in time' }),
          (signal) => orAborted(one.run(signal), signal),
        ).catch((thrown: unknown) => [one.unable(asCodedError(thrown))]),
      ),
    );
    return found.flat();
  }

  async #within(reader: Reader, report: SurveyReport): Promise<SurveyReport> {
    const scope = parseScope(reader.scope);
    if (scope.whole) return report;
    const { ids, switches } = await this.#parts.storage.run(async (tx) => {
      const mine = (await tx.machines.list()).filter((machine) => scope.includes(machine));
      const wires = await tx.racks.wires();
      return {
        ids: new Set<string>(mine.map(({ id }) => id)),
        switches: new Set(mine.flatMap((one) => connectedPorts(one, wires).map((port) => port.switch))),
      };
    });
    const findings = report.findings.filter((one) =>
      one.machineId === null ? one.switch !== null && switches.has(one.switch) : ids.has(one.machineId),
    );
    return { ...report, findings, others: [] };
  }
}

/** A device that is in quarantine for what it does still: one thing to look at, not two. What a person said of it stands by itself. */
function folded(findings: readonly Finding[]): readonly Finding[] {
  const subject = ({ where }: Finding): string => where.replace(/ \(.*\)$/, '');
  const ours = ({ code, by }: Finding): boolean => code === 'device.withheld' && by === null;
  const others = findings.filter((one) => !ours(one));
  const withheld = new Map(findings.filter(ours).map((one) => [subject(one), one]));
  const told = new Set<Finding>();
  const named = others.map((one) => {
    const why = one.code === 'device.withheld' ? undefined : withheld.get(subject(one));
    if (!why) return one;
    told.add(why);
    return { ...one, what: `${one.what}; in quarantine for it, with the machines that depend on it` };
  });
  return [...named, ...[...withheld.values()].filter((one) => !told.has(one))];
}
