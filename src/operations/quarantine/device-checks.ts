import { describePort, milliseconds, portSatisfies, type Duration } from '../../../plugin-api/index.ts';
import { describePlace, type Switch } from '../../core/rack/wiring.ts';
import { placeOfPort, type QuarantineRecord } from '../../core/quarantine/quarantine.ts';
import { Semaphore } from '../../kernel/concurrency/semaphore.ts';
import { asCodedError } from '../../kernel/errors/service-error.ts';
import type { PortService } from '../ports/port-service.ts';
import type { World } from '../world.ts';
import type { DeviceWatch } from './device-watch.ts';
import type { QuarantineSettings } from './quarantine-settings.ts';

export interface DeviceChecksParts extends Pick<World, 'storage' | 'clock' | 'log'> {
  readonly ports: Pick<PortService, 'observe' | 'bringUpToDate'>;
  readonly watch: DeviceWatch;
  readonly settings: QuarantineSettings;
}

/** When a switch is looked at again. */
interface Turn {
  readonly at: number;
  /** Checks that failed in a row. */
  readonly failures: number;
}

const switchesAtOnce = 4;

/**
 * Looks again and again at switches that are in quarantine, whose ports are, or that failed the last time; frees them where
 * everything is as desired and saved. It sets nothing on ports: what is not as desired is for an operation, or a person. Two
 * instances may do the same at once: reading twice does no harm, and what has ended cannot end again.
 */
export class DeviceChecks {
  readonly #parts: DeviceChecksParts;
  readonly #turns = new Map<string, Turn>();
  readonly #places = new Semaphore(switchesAtOnce);
  readonly #stopping = new AbortController();
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: DeviceChecksParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the checks stop'));
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { clock, log, settings } = this.#parts;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.look().catch((thrown: unknown) => {
        if (!signal.aborted) log.warn({ error: asCodedError(thrown).message }, 'quarantines not looked at');
      });
      await clock.sleep(settings.checkInterval, signal).catch(() => undefined);
    }
  }

  /** Checks every switch whose turn has come. */
  async look(): Promise<void> {
    const { clock, watch } = this.#parts;
    const withheld = await watch.refresh();
    const concerned = new Map<string, QuarantineRecord[]>(
      watch.switchesInTrouble().map((name) => [name, []]),
    );
    for (const record of withheld) {
      if (record.kind !== 'switch' && record.kind !== 'port') continue;
      const name = record.kind === 'switch' ? record.name : placeOfPort(record.name).switch;
      concerned.set(name, [...(concerned.get(name) ?? []), record]);
    }
    for (const name of this.#turns.keys()) if (!concerned.has(name)) this.#turns.delete(name);
    await Promise.all(
      [...concerned].map(async ([name, records]) => {
        const now = clock.monotonic();
        const turn = this.#turns.get(name) ?? { at: now + this.#pause(records, 0), failures: 0 };
        this.#turns.set(name, turn);
        if (turn.at > now) return;
        const passed = await this.#places.run(() => this.#check(name, records));
        if (passed) {
          this.#turns.delete(name);
          return;
        }
        const failures = turn.failures + 1;
        this.#turns.set(name, { at: clock.monotonic() + this.#pause(records, failures), failures });
      }),
    );
  }

  /** What comes into quarantine again and again stays there longer each time. */
  #pause(records: readonly QuarantineRecord[], failures: number): Duration {
    const { checkInterval, longestPause } = this.#parts.settings;
    const again = Math.max(0, ...records.map(({ count }) => count - 1));
    return milliseconds(Math.min(longestPause, checkInterval * 2 ** Math.min(16, again + failures)));
  }

  /** Whether nothing is left to be checked there. */
  async #check(name: string, records: readonly QuarantineRecord[]): Promise<boolean> {
    const { log, storage, watch } = this.#parts;
    if (this.#stopping.signal.aborted) return false;
    const at = await storage.run((tx) => tx.racks.findSwitch(name));
    if (!at) {
      for (const record of records) watch.passed(record, 'the switch is no longer in the rack config');
      watch.switchAnswered(name);
      return true;
    }
    try {
      const { saved, ports } = await this.#read(at);
      if (saved) watch.switchAnswered(name);
      const ill = records.filter(({ kind }) => kind === 'port');
      const cured = ill.filter((record) => {
        const port = ports.find((one) => one.name === record.name);
        // Of a port without a desired state nothing is asked; one that is just being set tells nothing.
        return saved && (port === undefined || port.verdict === 'as desired');
      });
      for (const record of cured) watch.passed(record, 'read back as desired, and saved');
      const wrong = ports.filter(
        (port) => port.verdict === 'wrong' && ill.every((record) => record.name !== port.name),
      );
      const fine = saved && wrong.length === 0;
      const itself = records.find(({ kind }) => kind === 'switch');
      if (itself && fine) watch.passed(itself, 'opened and read: every port is as desired, and saved');
      if (itself && !fine)
        log.info(
          { switch: name, saved, wrong: wrong.map(({ shown }) => shown) },
          'a switch stays quarantined',
        );
      return fine && cured.length === ill.length;
    } catch (thrown) {
      const error = asCodedError(thrown);
      watch.switchFailed(name, error);
      log.info({ switch: name, error: error.message }, 'a check of a switch failed');
      return false;
    }
  }

  /** Reads every port that has a desired state and a wire, and has saved what is not. */
  async #read(at: Switch): Promise<{ readonly saved: boolean; readonly ports: readonly Judged[] }> {
    const { ports, storage } = this.#parts;
    const { wanted, busy } = await storage.run(async (tx) => {
      const wired = new Set((await tx.racks.wires()).map(describePlace));
      return {
        // What a port was once set to, and no machine is cabled to any more, is nobody's wish.
        wanted: (await tx.ports.ofSwitch(at.name)).filter((port) => wired.has(describePlace(port))),
        busy: new Set((await tx.journal.listActive()).map(({ machineId }) => machineId)),
      };
    });
    const uplinks = at.uplinks.map((port) => ({ switch: at.name, port }));
    const readings = await ports.observe([...wanted, ...uplinks]);
    if (at.unsavedSince !== null) await ports.bringUpToDate(at.name);
    const now = await storage.run((tx) => tx.racks.findSwitch(at.name));
    return {
      saved: now?.unsavedSince === null,
      ports: wanted.map((record, i) => {
        const { observed } = readings[i]!;
        const moving = record.machineId !== null && busy.has(record.machineId);
        const met = observed !== null && portSatisfies(observed, record.desired, now?.defaultVlan ?? null);
        return {
          name: describePlace(record),
          verdict: moving ? 'moving' : met ? 'as desired' : 'wrong',
          shown: `${record.port} is ${observed ? describePort(observed) : 'not there'}, desired ${describePort(record.desired)}`,
        };
      }),
    };
  }
}

/** What a reading says about one port. */
interface Judged {
  readonly name: string;
  readonly verdict: 'as desired' | 'wrong' | 'moving';
  readonly shown: string;
}
