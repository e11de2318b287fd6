import {
  CodedError,
  DeviceError,
  seconds,
  type Bmc,
  type BmcConsole,
  type BmcEvent,
  type BmcSensor,
  type BmcTarget,
  type BootDevice,
  type BootDeviceRequest,
  type Clock,
  type Duration,
  type Evidence,
  type PowerDriver,
  type PowerState,
} from '../../../plugin-api/index.ts';
import type { BmcRecord, Machine, MachineId } from '../../core/machine/machine.ts';
import type { Storage, Tx } from '../../core/storage/storage.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';
import type { EventBus } from '../../kernel/events/event-bus.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { OperationEvents } from '../operation-events.ts';
import type { EventNotes } from '../timeline/event-notes.ts';
import { recordEvent, type MachineEvent } from '../timeline/record-event.ts';
import type { DeviceWatch } from '../quarantine/device-watch.ts';
import type { Timings } from '../timings.ts';
import type { FarPower } from './far-power.ts';
import { PowerObservations, type PowerObservation } from './power-observations.ts';

/** A machine was turned on or off. */
export interface Turned {
  readonly evidence: Evidence;
  /** Writes down how its power is now. */
  readonly commit: (tx: Tx) => Promise<void>;
}

export interface PowerServiceParts {
  readonly drivers: ReadonlyMap<string, PowerDriver>;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly timings: Timings;
  readonly log: Log;
  readonly events: EventBus<OperationEvents>;
  /** Throws while nothing may be written to any device. */
  readonly mayWrite?: (() => void) | undefined;
  /** Machines that other instances hold; none unless given. */
  readonly far?: Pick<FarPower, 'has' | 'read' | 'refuse'> | undefined;
  /** How long a reading in the background may still hold a BMC that a command waits for. */
  readonly makeWay: Duration;
  /** Hears how it goes with each BMC. */
  readonly watch?: Pick<DeviceWatch, 'bmcAnswered' | 'bmcFailed'> | undefined;
  /** Hears of everything that changes something at a BMC. */
  readonly timeline?: Pick<EventNotes, 'note'>;
}

/** Power and boot device of machines: one {@link Bmc} per address, and what was learned goes into the machine's record. */
export class PowerService {
  readonly #drivers: ReadonlyMap<string, PowerDriver>;
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #timings: Timings;
  readonly #parts: PowerServiceParts;
  readonly #observations: PowerObservations;
  readonly #open = new Map<string, { readonly fingerprint: string; readonly bmc: Bmc }>();
  readonly #openOf = new Map<MachineId, string>();
  /** Commands under way, by machine. */
  readonly #urgent = new Map<MachineId, number>();
  /** Readings in the background, by machine. */
  readonly #polls = new Map<MachineId, AbortController>();
  /** What the store says about power, so that it is only written when it changes. */
  readonly #stored = new Map<MachineId, PowerState>();
  /** Which boot device a machine was last told, and when by the steady clock; none once it was told to start. */
  readonly #bootDevices = new Map<MachineId, { readonly device: BootDevice; readonly at: number }>();
  readonly #reachedListeners = new Set<(id: MachineId) => void>();

  constructor(parts: PowerServiceParts) {
    this.#parts = parts;
    this.#drivers = parts.drivers;
    this.#storage = parts.storage;
    this.#clock = parts.clock;
    this.#timings = parts.timings;
    this.#observations = new PowerObservations(parts.clock);
  }

  async state(machine: Machine, signal?: AbortSignal): Promise<PowerState> {
    const { far } = this.#parts;
    if (far?.has(machine.id)) return far.read(machine, signal);
    return this.#first(machine, () => this.#read(machine, signal));
  }

  /**
   * A reading in the background. It gives way to commands at once: null when one has the BMC, or took it meanwhile.
   * @throws DeviceError, or the signal's reason
   */
  poll(machine: Machine, signal: AbortSignal): Promise<PowerState | null> {
    return this.#aside(machine, signal, (cut) => this.#read(machine, cut));
  }

  /** The same, but nothing is kept of it: for who compares with what is stored. */
  look(machine: Machine, signal: AbortSignal): Promise<PowerState | null> {
    const { far } = this.#parts;
    if (far?.has(machine.id)) return far.read(machine, signal);
    return this.#aside(machine, signal, (cut) => this.#bmc(machine).state(cut));
  }

  async #aside(
    machine: Machine,
    signal: AbortSignal,
    read: (cut: AbortSignal) => Promise<PowerState>,
  ): Promise<PowerState | null> {
    const { id } = machine;
    if (this.#urgent.has(id) || this.#polls.has(id)) return null;
    const controller = new AbortController();
    const forward = (): void => controller.abort(signal.reason);
    signal.addEventListener('abort', forward, { once: true });
    if (signal.aborted) forward();
    this.#polls.set(id, controller);
    try {
      return await read(controller.signal);
    } catch (error) {
      if (controller.signal.aborted && !signal.aborted) return null;
      throw error;
    } finally {
      signal.removeEventListener('abort', forward);
      this.#polls.delete(id);
      controller.abort(new Error('the reading is over'));
    }
  }

  /** What was last read, if it is no older; null = unknown. Never asks the BMC. */
  observed(id: MachineId, maxAge: Duration): PowerObservation | null {
    return this.#observations.fresh(id, maxAge);
  }

  /** Calls `listener` whenever a command reached a machine's BMC; the returned function ends that. */
  onReached(listener: (id: MachineId) => void): () => void {
    this.#reachedListeners.add(listener);
    return () => this.#reachedListeners.delete(listener);
  }

  /** On or off, confirmed by reading, and written down. */
  async turn(machine: Machine, wanted: PowerState, signal?: AbortSignal): Promise<void> {
    const { commit } = await this.turned(machine, wanted, signal);
    await this.#storage.run(commit);
  }

  /** On or off, confirmed by reading; `commit` writes it down in a unit of work of the caller's. */
  async turned(machine: Machine, wanted: PowerState, signal?: AbortSignal): Promise<Turned> {
    const within = wanted === 'on' ? this.#timings.powerOn : this.#timings.powerOff;
    // A flag for one boot is used up by it, whatever comes of the command.
    if (wanted === 'on') this.#bootDevices.delete(machine.id);
    const before = this.#stored.get(machine.id) ?? machine.power?.state;
    const evidence = await this.#noted(
      machine,
      `power ${wanted}`,
      () => this.#change(machine, () => this.#bmc(machine).turn(wanted, within, signal)),
      ({ summary, data }) =>
        // It was so already: nothing was sent.
        data?.['commandsSent'] === 0 ? null : { text: summary, before, after: wanted },
    );
    this.#observations.note(machine.id, this.#observations.begin(machine.id), wanted);
    this.#parts.watch?.bmcAnswered(machine.id);
    return { evidence, commit: (tx) => this.#keep(tx, machine.id, wanted) };
  }

  /** The ACPI request: at most once. */
  soft(machine: Machine, signal?: AbortSignal): Promise<void> {
    return this.#noted(
      machine,
      'soft power-off (ACPI)',
      () => this.#change(machine, () => this.#bmc(machine).soft(signal)),
      () => accepted,
    );
  }

  /** Power cycle of a machine that is on: at most once. */
  cycle(machine: Machine, signal?: AbortSignal): Promise<void> {
    this.#bootDevices.delete(machine.id);
    return this.#noted(
      machine,
      'power cycle',
      () => this.#change(machine, () => this.#bmc(machine).cycle(signal)),
      () => accepted,
    );
  }

  async setBootDevice(machine: Machine, device: BootDevice, signal?: AbortSignal): Promise<Evidence> {
    this.#bootDevices.delete(machine.id);
    // The BMC forgets it from when it was set, not from when it was read back.
    const at = this.#clock.monotonic();
    const evidence = await this.#noted(
      machine,
      `boot device ${device}`,
      () =>
        this.#first(machine, () => this.#bmc(machine).setBootDevice(this.#request(machine, device), signal)),
      ({ summary }) => ({ text: summary }),
    );
    this.#bootDevices.set(machine.id, { device, at });
    return evidence;
  }

  /** Sets it again unless it was set just now by this process: a BMC forgets it within a minute, and the boot before used it up. */
  async ensureBootDevice(machine: Machine, device: BootDevice, signal?: AbortSignal): Promise<void> {
    const set = this.#bootDevices.get(machine.id);
    if (set?.device === device && this.#clock.monotonic() - set.at < bootDeviceHolds) return;
    await this.setBootDevice(machine, device, signal);
  }

  planTurn(machine: Machine, action: 'on' | 'off' | 'soft' | 'cycle'): string {
    return `${this.#driver(machine).planPower(this.#target(machine), action)}, then read until confirmed`;
  }

  planBootDevice(machine: Machine, device: BootDevice): string {
    return this.#driver(machine).planBootDevice(this.#target(machine), this.#request(machine, device));
  }

  /** First contact: identity, and the cipher suite for the record. */
  async probe(
    machine: Machine,
    signal?: AbortSignal,
  ): Promise<{ readonly state: PowerState; readonly suite: 3 | 17 }> {
    return this.#first(machine, async () => {
      const bmc = this.#bmc(machine);
      const { suite } = await bmc.identity(signal);
      return { state: await bmc.state(signal), suite };
    });
  }

  /** The System Event Log. @throws ServiceError `request.unsupported` where the driver has none, or DeviceError */
  eventLog(machine: Machine, signal?: AbortSignal): Promise<readonly BmcEvent[]> {
    return this.#commanded(machine, () => {
      const bmc = this.#bmc(machine);
      return bmc.eventLog?.(signal) ?? unsupported(machine, 'event log');
    });
  }

  clearEventLog(machine: Machine, signal?: AbortSignal): Promise<void> {
    const clear = (): Promise<void> =>
      this.#bmc(machine).clearEventLog?.(signal) ?? unsupported(machine, 'event log');
    return this.#noted(
      machine,
      'clear the event log',
      () => this.#first(machine, clear),
      () => accepted,
    );
  }

  sensors(machine: Machine, signal?: AbortSignal): Promise<readonly BmcSensor[]> {
    return this.#commanded(machine, () => {
      const bmc = this.#bmc(machine);
      return bmc.sensors?.(signal) ?? unsupported(machine, 'sensors');
    });
  }

  /** The machine's serial console, where anything can be typed. It has a session of its own, and holds up nothing else. */
  async console(
    machine: Machine,
    options: { readonly takeOver: boolean },
    signal?: AbortSignal,
  ): Promise<BmcConsole> {
    this.#parts.mayWrite?.();
    if (this.#parts.far?.has(machine.id)) return this.#parts.far.refuse(machine);
    const bmc = this.#bmc(machine);
    return bmc.console?.(options, signal) ?? unsupported(machine, 'console');
  }

  /** Ends the session with a machine's BMC: another instance is to have it, or nobody. */
  async release(id: MachineId): Promise<void> {
    this.#polls.get(id)?.abort(new Error('the machine is left to others'));
    // What it reads and stores from now on is not seen here.
    this.#stored.delete(id);
    this.#bootDevices.delete(id);
    this.#observations.forget(id);
    const address = this.#openOf.get(id) ?? '';
    this.#openOf.delete(id);
    await this.#closeAt(address).catch(() => undefined);
  }

  async #closeAt(address: string): Promise<void> {
    const open = this.#open.get(address);
    this.#open.delete(address);
    await open?.bmc.close();
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#open.values()].map(({ bmc }) => bmc.close()));
    this.#open.clear();
    await Promise.allSettled([...this.#drivers.values()].map((driver) => driver.close()));
  }

  /** Runs a command that changes something at the BMC, and notes what was asked and what came of it; null = nothing did. */
  async #noted<T>(
    machine: Machine,
    asked: string,
    command: () => Promise<T>,
    outcome: (result: T) => Pick<MachineEvent, 'text' | 'before' | 'after'> | null,
  ): Promise<T> {
    this.#parts.mayWrite?.();
    const began = this.#clock.monotonic();
    const note = (found: ReturnType<typeof outcome>): void => {
      if (!found) return;
      this.#parts.timeline?.note({
        ...found,
        text: `${asked}: ${found.text}`,
        at: this.#clock.now(),
        machineId: machine.id,
        kind: 'bmc',
        took: this.#clock.monotonic() - began,
      });
    };
    try {
      const result = await command();
      note(outcome(result));
      return result;
    } catch (thrown) {
      note({ text: thrown instanceof CodedError ? `failed: ${thrown.message}` : 'broken off' });
      throw thrown;
    }
  }

  /** The flag is set right before each boot and once only: what the next boot does is always our word of that moment. */
  #request(machine: Machine, device: BootDevice): BootDeviceRequest {
    return { device, persistent: device === 'disk', firmware: machine.firmware };
  }

  #driver(machine: Machine): PowerDriver {
    const bmc = requireBmc(machine);
    const driver = this.#drivers.get(bmc.driver);
    if (driver) return driver;
    throw new ServiceError({
      code: 'config.invalid',
      what: `there is no power driver "${bmc.driver}"`,
      where: machine.hostname,
    });
  }

  #target(machine: Machine): BmcTarget {
    return bmcTarget(requireBmc(machine));
  }

  #bmc(machine: Machine): Bmc {
    const record = requireBmc(machine);
    const target = this.#target(machine);
    const key = `${record.driver} ${record.host}:${record.port}`;
    const before = this.#openOf.get(machine.id);
    this.#openOf.set(machine.id, key);
    if (before !== undefined && before !== key) {
      // What another BMC said, and was told, says nothing about this one.
      this.#observations.outdate(machine.id);
      this.#bootDevices.delete(machine.id);
      // Its session would be kept alive for ever, and hold a place at a BMC that is no longer the machine's.
      this.#closeAt(before).catch(() => undefined);
    }
    const fingerprint = JSON.stringify([
      record.username,
      record.password.reveal(),
      record.kg?.reveal(),
      record.privilege,
      record.minSuite,
      record.knownSuite,
    ]);
    const open = this.#open.get(key);
    if (open?.fingerprint === fingerprint) return open.bmc;
    // Credentials changed: the old session may go, whatever becomes of its goodbye.
    open?.bmc.close().catch(() => undefined);
    const bmc = this.#driver(machine).open(target);
    this.#open.set(key, { fingerprint, bmc });
    return bmc;
  }

  #change<T>(machine: Machine, command: () => Promise<T>): Promise<T> {
    return this.#first(machine, () => this.#observations.change(machine.id, command));
  }

  /** Runs a command before any reading in the background: one that is under way gets a moment to end, then it is cut. */
  async #first<T>(machine: Machine, command: () => Promise<T>): Promise<T> {
    const { id } = machine;
    this.#urgent.set(id, (this.#urgent.get(id) ?? 0) + 1);
    const poll = this.#polls.get(id);
    if (poll)
      this.#clock.sleep(this.#parts.makeWay, poll.signal).then(
        () => poll.abort(new Error('a command goes first')),
        () => undefined,
      );
    try {
      return await this.#commanded(machine, command);
    } finally {
      const left = this.#urgent.get(id)! - 1;
      if (left > 0) this.#urgent.set(id, left);
      else this.#urgent.delete(id);
    }
  }

  /**
   * Runs what somebody asked for, without holding up the readings in the background: a long event log takes longer to read than a
   * reading of the power counts.
   */
  async #commanded<T>(machine: Machine, command: () => Promise<T>): Promise<T> {
    const { id } = machine;
    if (this.#parts.far?.has(id)) return this.#parts.far.refuse(machine);
    try {
      const result = await command();
      for (const listener of this.#reachedListeners) listener(id);
      return result;
    } catch (thrown) {
      // A login that is refused is not tried again, so that no later reading would tell of it.
      const error = asCodedError(thrown);
      if (error.code === 'power.auth') this.#parts.watch?.bmcFailed(machine, error);
      throw thrown;
    }
  }

  async #read(machine: Machine, signal: AbortSignal | undefined): Promise<PowerState> {
    const bmc = this.#bmc(machine);
    const ticket = this.#observations.begin(machine.id);
    const state = await bmc.state(signal);
    this.#parts.watch?.bmcAnswered(machine.id);
    if (this.#observations.note(machine.id, ticket, state)) await this.#seen(machine, state);
    return state;
  }

  /** Writes down what we did ourselves. */
  async #keep(tx: Tx, id: MachineId, state: PowerState): Promise<void> {
    // The unit may yet fail: the next reading compares with what is stored by then.
    this.#stored.delete(id);
    const now = await tx.machines.find(id);
    if (now && now.power?.state !== state)
      await tx.machines.update({ ...now, power: { state, at: this.#clock.now() } });
  }

  /**
   * Only a change is written: polling must not wear the database. A change that was seen although nobody commanded it, and
   * no operation runs that may be its cause, is told to whom it concerns.
   */
  async #seen(machine: Machine, state: PowerState): Promise<void> {
    const { id } = machine;
    if ((this.#stored.get(id) ?? machine.power?.state) === state) return;
    const was = await this.#storage.run(async (tx) => {
      const now = await tx.machines.find(id);
      if (!now) return null;
      if (now.power?.state === state) return null;
      await tx.machines.update({ ...now, power: { state, at: this.#clock.now() } });
      if (!now.power || (await tx.journal.active(id))) return null;
      await recordEvent(tx, {
        at: this.#clock.now(),
        machineId: id,
        operationId: null,
        kind: 'power',
        text: `the power was changed by somebody else: it was ${now.power.state}, and is ${state}`,
        before: now.power.state,
        after: state,
      });
      return now.power;
    });
    this.#stored.set(id, state);
    if (!was) return;
    this.#parts.log.warn(
      { machine: machine.hostname, power: state, was: was.state },
      'the power of a machine was changed by somebody else',
    );
    this.#parts.events.emit('power', { machineId: id, state });
  }
}

const accepted = { text: 'accepted' } as const;

/** Half of what the specification lets boot flags live (IPMI 2.0, table 28-14, parameter 3). */
const bootDeviceHolds = seconds(30);

function unsupported(machine: Machine, what: string): Promise<never> {
  return Promise.reject(
    new ServiceError({
      code: 'request.unsupported',
      what: `the power driver "${requireBmc(machine).driver}" has no ${what}`,
      where: machine.hostname,
    }),
  );
}

/** A machine's BMC as drivers want it. */
export function bmcTarget(bmc: BmcRecord): BmcTarget {
  return {
    host: bmc.host,
    port: bmc.port,
    username: bmc.username,
    password: bmc.password,
    kg: bmc.kg ?? undefined,
    privilege: bmc.privilege,
    minSuite: bmc.minSuite,
    knownSuite: bmc.knownSuite ?? undefined,
  };
}

function requireBmc(machine: Machine): NonNullable<Machine['bmc']> {
  if (machine.bmc) return machine.bmc;
  throw new DeviceError({
    code: 'power.unreachable',
    retry: 'operator',
    what: 'the machine has no BMC',
    where: machine.hostname,
    remedy: 'enrol it with its BMC address',
  });
}
