import { Deferred } from '../../src/kernel/concurrency/deferred.ts';
import {
  broadcast,
  type DhcpClient,
  type DhcpLease,
  type Endpoint,
  type Fabric,
  type Frame,
  type Place,
  type Tag,
} from '../network/index.ts';
import type { Clock, Duration, Mac } from '../../plugin-api/index.ts';

export interface LabNicOptions {
  /** Name as the ramdisk's kernel gives it: `eth0`. */
  readonly name: string;
  readonly mac: Mac;
  /** The switch port it is cabled to. */
  readonly place: Place;
}

/** A frame as a NIC heard it. */
export interface HeardFrame {
  readonly frame: Frame;
  readonly tag: Tag;
  readonly from: Place;
}

const mostHeard = 200;

/** A NIC of a simulated machine: an end of the fabric that works while the machine has power. */
export class LabNic implements Endpoint {
  readonly name: string;
  readonly label: string;
  readonly mac: Mac;
  readonly place: Place;
  /** MACs it takes unicast frames for besides its own: those of a bond or of VLAN interfaces on it. */
  readonly extraMacs = new Set<string>();
  /** The last frames heard, oldest first. */
  readonly heard: HeardFrame[] = [];
  readonly #fabric: Fabric;
  readonly #alive: () => boolean;
  readonly #listeners = new Set<(heard: HeardFrame) => void>();

  /** @param alive whether the machine has power and the NIC works. */
  constructor(options: LabNicOptions, machine: string, fabric: Fabric, alive: () => boolean) {
    this.name = `${machine} ${options.name}`;
    this.label = options.name;
    this.mac = options.mac;
    this.place = options.place;
    this.#fabric = fabric;
    this.#alive = alive;
  }

  listening(): boolean {
    return this.#alive();
  }

  /** Whether the NIC sees a link: its own half works and the switch port is up. */
  carrier(): boolean {
    return this.#alive() && (this.#fabric.membership(this.place)?.up ?? false);
  }

  owns(mac: string): boolean {
    return mac === this.mac || this.extraMacs.has(mac);
  }

  hear(frame: Frame, tag: Tag, from: Place): void {
    const heard = { frame, tag, from };
    this.heard.push(heard);
    if (this.heard.length > mostHeard) this.heard.shift();
    for (const listener of [...this.#listeners]) listener(heard);
  }

  onHeard(listener: (heard: HeardFrame) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  send(frame: Frame, tag: Tag): void {
    if (this.#alive()) this.#fabric.send(this, frame, tag);
  }

  /** One DHCP conversation: discover, take the first offer, request. Null when no lease came within `wait`. */
  async dhcp(
    clock: Clock,
    client: Mac,
    by: DhcpClient,
    tag: Tag,
    wait: Duration,
    signal: AbortSignal,
  ): Promise<DhcpLease | null> {
    const answered = new Deferred<DhcpLease | null>();
    let requested = false;
    const stop = this.onHeard(({ frame: { payload }, tag: heardTag }) => {
      if (heardTag !== tag || !('client' in payload) || payload.client !== client) return;
      if (payload.kind === 'dhcp-offer' && !requested) {
        requested = true;
        this.send(
          {
            source: client,
            destination: broadcast,
            payload: { kind: 'dhcp-request', client, by, lease: payload.lease },
          },
          tag,
        );
      } else if (payload.kind === 'dhcp-ack') answered.resolve(payload.lease);
    });
    this.extraMacs.add(client);
    try {
      this.send(
        { source: client, destination: broadcast, payload: { kind: 'dhcp-discover', client, by } },
        tag,
      );
      const done = new AbortController();
      const pause = clock.sleep(wait, AbortSignal.any([signal, done.signal])).then(
        () => answered.resolve(null),
        () => answered.resolve(null),
      );
      const lease = await answered.promise;
      done.abort();
      await pause;
      signal.throwIfAborted();
      return lease;
    } finally {
      stop();
    }
  }
}
