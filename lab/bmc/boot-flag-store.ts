import type { Clock } from '../../plugin-api/index.ts';
import { bootDeviceCode, decodeBootFlags } from '../../src/wire/rmcp/command/boot-flags.ts';
import { keepFlagsOverTimeout } from '../../src/wire/rmcp/command/boot-options.ts';
import type { HostBoot } from './bmc-host.ts';
import type { BmcTraits } from './bmc-options.ts';

const validBit = 0x80;
const persistentBit = 0x40;
const efiBit = 0x20;
/** Supermicro's UEFI disk is device 9 in the same field. */
const diskCodes: readonly number[] = [bootDeviceCode.disk, bootDeviceCode.remotePrimary];

/** Boot option parameter 5 with all its bytes, its expiry (parameter 3) and its use at power on. */
export class BootFlagStore {
  readonly #clock: Clock;
  #bytes = Buffer.alloc(5);
  #countedFrom = 0;
  /** Parameter 3: what does not clear the valid bit. */
  notClearing = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  set(data: Buffer, dropped: { readonly persistent: boolean; readonly efi: boolean }): void {
    this.#bytes = Buffer.alloc(5);
    data.copy(this.#bytes, 0, 0, 5);
    const mask = (dropped.persistent ? persistentBit : 0) | (dropped.efi ? efiBit : 0);
    this.#bytes[0] = this.#bytes[0]! & ~mask;
    this.restartExpiry();
  }

  /** A chassis control begins the countdown anew (IPMI 2.0, table 28-14, parameter 3). */
  restartExpiry(): void {
    this.#countedFrom = this.#clock.monotonic();
  }

  /** The five bytes as they stand now. */
  read(traits: BmcTraits): Buffer {
    const flags = decodeBootFlags(this.#bytes);
    const mayExpire =
      (this.notClearing & keepFlagsOverTimeout) === 0 && (!flags.persistent || traits.persistentExpires);
    const age = this.#clock.monotonic() - this.#countedFrom;
    if (flags.valid && mayExpire && age >= traits.bootFlagsTimeout)
      this.#bytes[0] = this.#bytes[0]! & ~validBit;
    return Buffer.from(this.#bytes);
  }

  /** What a host that starts now boots from; flags for one time are used up. */
  consume(traits: BmcTraits): HostBoot {
    const flags = decodeBootFlags(this.read(traits));
    if (!flags.valid) return { device: 'none', efi: false };
    if (!flags.persistent) this.#bytes = Buffer.alloc(5);
    const disk = diskCodes.includes(flags.device) ? 'disk' : 'none';
    return { device: flags.device === bootDeviceCode.pxe ? 'pxe' : disk, efi: flags.efi };
  }
}
