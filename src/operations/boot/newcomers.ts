import type { Clock, Duration, Mac } from '../../../plugin-api/index.ts';
import type { Machine, MachineId } from '../../core/machine/machine.ts';
import { newSystemId } from '../../kernel/ids/ids.ts';

/** What iPXE tells about the machine it runs on. */
export interface BootAsker {
  readonly mac: Mac;
  /** Network address of the asker, for the records. */
  readonly remote: string;
  /** iPXE's `${platform}`: `pcbios` or `efi`. */
  readonly platform: string;
  /** iPXE's `${buildarch}`: that of the iPXE binary, `i386` also on 64-bit BIOS machines. */
  readonly arch: string;
  readonly serial: string;
}

/** Where machines that merely showed up on the provisioning network are put. */
export interface NewcomerDefaults {
  readonly site: string;
  readonly pool: string;
}

/** A machine that was seen, and of which nothing but one MAC is known: no BMC, state new. */
export function newcomer(asker: BootAsker, defaults: NewcomerDefaults, now: number): Machine {
  return {
    id: newSystemId() as MachineId,
    hostname: `seen-${asker.mac.replaceAll(':', '')}`,
    state: 'new',
    site: defaults.site,
    pool: defaults.pool,
    engine: 'native',
    wiring: 'managed',
    bmc: null,
    firmware: asker.platform === 'efi' ? 'efi' : 'legacy',
    architecture: asker.arch.startsWith('arm') ? 'aarch64' : 'x86_64',
    cpus: 0,
    memoryBytes: 0,
    serial: asker.serial,
    product: '',
    nics: [{ name: 'net0', mac: asker.mac, linkUp: true, speedMbps: null, neighbour: null }],
    disks: [],
    rootDiskSerial: null,
    cloudPlace: null,
    clean: null,
    quarantine: null,
    power: null,
    createdAt: now,
    version: 1,
  };
}

/** Lets at most `limit` things happen in any `window`. Per process and in memory: a restart begins a new window. */
export class SlidingLimit {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #window: Duration;
  #times: number[] = [];

  constructor(clock: Clock, limit: number, window: Duration) {
    this.#clock = clock;
    this.#limit = limit;
    this.#window = window;
  }

  /** Counts one and says yes, or says no. */
  take(): boolean {
    const now = this.#clock.monotonic();
    this.#times = this.#times.filter((time) => now - time < this.#window);
    if (this.#times.length >= this.#limit) return false;
    this.#times.push(now);
    return true;
  }
}
