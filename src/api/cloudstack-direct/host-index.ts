import { createHash } from 'node:crypto';
import type { Clock, Duration } from '../../../plugin-api/index.ts';
import type { Machine, MachineId } from '../../core/machine/machine.ts';

/**
 * The guid that CloudStack makes for a host that it adds by its BMC's address: Java's `UUID.nameUUIDFromBytes`, a version 3 UUID
 * without a namespace (`BareMetalDiscoverer`).
 */
export function guidOfAddress(address: string): string {
  const hash = createHash('md5').update(address, 'utf8').digest();
  hash[6] = (hash[6]! & 0x0f) | 0x30;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  return hash.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

export interface HostIndexOptions {
  readonly machines: () => Promise<readonly Machine[]>;
  /** Only machines with a place in this cloud are its hosts. */
  readonly cloud: string;
  readonly clock: Clock;
  /** How old the index may grow; changes that this process makes itself are to be told by `invalidate`. */
  readonly maxAge: Duration;
}

/** Finds the machine that CloudStack means, without reading every machine at every ping. */
export class HostIndex {
  readonly #options: HostIndexOptions;
  #index: {
    readonly at: number;
    readonly byGuid: Promise<ReadonlyMap<string, readonly MachineId[]>>;
  } | null = null;

  constructor(options: HostIndexOptions) {
    this.#options = options;
  }

  /** The one machine of that guid, ours or CloudStack's own; null when none or more than one fits. */
  async find(guid: string): Promise<MachineId | null> {
    const { clock, maxAge } = this.#options;
    if (!this.#index || clock.monotonic() - this.#index.at > maxAge) {
      const index = { at: clock.monotonic(), byGuid: this.#read() };
      this.#index = index;
      index.byGuid.catch(() => {
        if (this.#index === index) this.#index = null;
      });
    }
    const found = (await this.#index.byGuid).get(guid) ?? [];
    return found.length === 1 ? found[0]! : null;
  }

  /** A machine was enrolled, described anew or forgotten. */
  invalidate(): void {
    this.#index = null;
  }

  async #read(): Promise<ReadonlyMap<string, readonly MachineId[]>> {
    const { machines, cloud } = this.#options;
    const byGuid = new Map<string, MachineId[]>();
    for (const { id, bmc, cloudPlace } of await machines()) {
      if (cloudPlace?.cloud !== cloud) continue;
      for (const guid of new Set([cloudPlace.guid, ...(bmc ? [guidOfAddress(bmc.host)] : [])]))
        byGuid.set(guid, [...(byGuid.get(guid) ?? []), id]);
    }
    return byGuid;
  }
}
