import {
  DeviceError,
  type Bmc,
  type BmcTarget,
  type BootDevice,
  type BootDeviceRequest,
  type Clock,
  type Evidence,
  type PowerDriver,
  type PowerState,
} from '../../../plugin-api/index.ts';
import type { Machine } from '../../core/machine/machine.ts';
import type { Storage } from '../../core/storage/storage.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { Timings } from '../timings.ts';

/** Power and boot device of machines: one {@link Bmc} per address, and what was learned goes into the machine's record. */
export class PowerService {
  readonly #drivers: ReadonlyMap<string, PowerDriver>;
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #timings: Timings;
  readonly #open = new Map<string, { readonly fingerprint: string; readonly bmc: Bmc }>();

  constructor(drivers: ReadonlyMap<string, PowerDriver>, storage: Storage, clock: Clock, timings: Timings) {
    this.#drivers = drivers;
    this.#storage = storage;
    this.#clock = clock;
    this.#timings = timings;
  }

  async state(machine: Machine, signal?: AbortSignal): Promise<PowerState> {
    const state = await this.#bmc(machine).state(signal);
    await this.#learned(machine, state);
    return state;
  }

  /** On or off, confirmed by reading. */
  async turn(machine: Machine, wanted: PowerState, signal?: AbortSignal): Promise<Evidence> {
    const within = wanted === 'on' ? this.#timings.powerOn : this.#timings.powerOff;
    const evidence = await this.#bmc(machine).turn(wanted, within, signal);
    await this.#learned(machine, wanted);
    return evidence;
  }

  /** The ACPI request: at most once. */
  soft(machine: Machine, signal?: AbortSignal): Promise<void> {
    return this.#bmc(machine).soft(signal);
  }

  /** Power cycle of a machine that is on: at most once. */
  cycle(machine: Machine, signal?: AbortSignal): Promise<void> {
    return this.#bmc(machine).cycle(signal);
  }

  setBootDevice(machine: Machine, device: BootDevice, signal?: AbortSignal): Promise<Evidence> {
    return this.#bmc(machine).setBootDevice(this.#request(machine, device), signal);
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
    const bmc = this.#bmc(machine);
    const { suite } = await bmc.identity(signal);
    return { state: await bmc.state(signal), suite };
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#open.values()].map(({ bmc }) => bmc.close()));
    this.#open.clear();
    await Promise.allSettled([...this.#drivers.values()].map((driver) => driver.close()));
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
    const bmc = requireBmc(machine);
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

  #bmc(machine: Machine): Bmc {
    const record = requireBmc(machine);
    const target = this.#target(machine);
    const key = `${record.driver} ${record.host}:${record.port}`;
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

  /** Only a change is written: polling must not wear the database. */
  async #learned(machine: Machine, state: PowerState): Promise<void> {
    if (machine.power?.state === state) return;
    await this.#storage.run(async (tx) => {
      const now = await tx.machines.find(machine.id);
      if (now && now.power?.state !== state)
        await tx.machines.update({ ...now, power: { state, at: this.#clock.now() } });
    });
  }
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
