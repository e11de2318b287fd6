import net from 'node:net';
import { EventBus } from '../../src/kernel/events/event-bus.ts';
import { flood, type Arrival } from './flood.ts';
import { broadcast, type Frame, type Tag } from './frame.ts';
import {
  describePlace,
  samePlace,
  type Endpoint,
  type FabricSwitch,
  type Link,
  type Place,
  type PortMembership,
  type Service,
} from './topology.ts';

/** Whether one end hears the other, and how or why not. */
export interface Reachability {
  readonly ok: boolean;
  /** The tag with which frames arrive; undefined when they do not. */
  readonly tag: Tag | undefined;
  /** Hops when `ok`, the ports that dropped the frame otherwise. */
  readonly path: readonly string[];
}

export interface FabricEvents {
  /** Some port or VLAN of this switch changed. */
  readonly change: { readonly switch: string };
  readonly frame: {
    readonly frame: Frame;
    readonly from: Endpoint;
    readonly tag: Tag;
    readonly heard: readonly Endpoint[];
  };
}

interface OpenConnection {
  readonly socket: net.Socket;
  readonly from: Endpoint;
  readonly service: Service;
  readonly tag: Tag;
}

/**
 * Layer 2 over the switches' own state. A frame or a connection exists only while every port on the way carries it; a
 * connection is cut in the moment when a change of any switch takes its path away.
 */
export class Fabric {
  readonly events = new EventBus<FabricEvents>();
  readonly #switches: ReadonlyMap<string, FabricSwitch>;
  readonly #links: readonly Link[];
  /** By the port they are cabled to, written as text. */
  readonly #endpoints = new Map<string, Set<Endpoint>>();
  readonly #connections = new Set<OpenConnection>();
  readonly #unsubscribe: (() => void)[];

  constructor(switches: readonly FabricSwitch[], links: readonly Link[]) {
    this.#switches = new Map(switches.map((device) => [device.name, device]));
    this.#links = links;
    this.#unsubscribe = switches.map((device) =>
      device.onChange(() => {
        this.#cutBroken();
        this.events.emit('change', { switch: device.name });
      }),
    );
  }

  /** Plugs an endpoint in; the returned function unplugs it and cuts its connections. */
  attach(endpoint: Endpoint): () => void {
    const key = describePlace(endpoint.place);
    const there = this.#endpoints.get(key) ?? new Set();
    this.#endpoints.set(key, there.add(endpoint));
    return () => {
      there.delete(endpoint);
      for (const open of this.#connections)
        if (open.from === endpoint || open.service === endpoint) cut(open, 'the cable was pulled');
    };
  }

  membership(place: Place): PortMembership | null {
    return this.#switches.get(place.switch)?.membership(place.port) ?? null;
  }

  /** Whether frames that `from` sends with `tag` come out at `to`, whatever the power of either. */
  reachable(from: Endpoint, to: Endpoint | Service, tag: Tag): Reachability {
    const { arrivals, drops } = this.#flood(from.place, tag);
    const there = arrivals.filter((a) => samePlace(a.place, to.place));
    const arrival = there.find((a) => hears(to, a));
    if (arrival) return { ok: true, tag: arrival.tag, path: arrival.path };
    const elsewhere = there.map((a) => `${a.path.at(-1)!}, where ${to.name} does not listen`);
    return { ok: false, tag: undefined, path: [...elsewhere, ...drops] };
  }

  /** Sends a frame: a broadcast to everyone who hears it, another to its owner. Returns who heard it. */
  send(from: Endpoint, frame: Frame, tag: Tag): readonly Endpoint[] {
    const heard = new Map<Endpoint, Tag>();
    for (const arrival of this.#flood(from.place, tag).arrivals) {
      for (const endpoint of this.#endpoints.get(describePlace(arrival.place)) ?? []) {
        if (!endpoint.listening() || !hears(endpoint, arrival)) continue;
        if (frame.destination === broadcast || endpoint.owns(frame.destination))
          heard.set(endpoint, arrival.tag);
      }
    }
    this.events.emit('frame', { frame, from, tag, heard: [...heard.keys()] });
    for (const [endpoint, arrivedTag] of heard) endpoint.hear(frame, arrivedTag, from.place);
    return [...heard.keys()];
  }

  /** The service whose real address this is. */
  serviceAt(host: string, port: number): Service | null {
    for (const endpoint of [...this.#endpoints.values()].flatMap((there) => [...there])) {
      const address = isService(endpoint) ? endpoint.address() : null;
      if (address?.host === host && address.port === port) return endpoint as Service;
    }
    return null;
  }

  /**
   * A real TCP connection to the service. Without a path, or without a server, the socket fails with `EHOSTUNREACH`; when
   * the path breaks later it is destroyed at once with `EPIPE`.
   */
  connect(from: Endpoint, service: Service, tag: Tag): net.Socket {
    const reach = this.reachable(from, service, tag);
    const address = service.address();
    if (!reach.ok || !address || !from.listening()) {
      const socket = new net.Socket();
      const why = reach.ok ? 'nobody is listening there' : reach.path.join('; ');
      process.nextTick(() =>
        socket.destroy(networkError('EHOSTUNREACH', `${from.name} does not reach ${service.name}: ${why}`)),
      );
      return socket;
    }
    const socket = net.connect({ host: address.host, port: address.port });
    const open = { socket, from, service, tag };
    this.#connections.add(open);
    socket.once('close', () => this.#connections.delete(open));
    return socket;
  }

  /** Cuts every connection and lets go of the switches. */
  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    for (const open of this.#connections) cut(open, 'the fabric was torn down');
    this.#endpoints.clear();
  }

  #flood(from: Place, tag: Tag): ReturnType<typeof flood> {
    const ends = [...this.#endpoints.values()].flatMap(([first]) => (first ? [first.place] : []));
    return flood(this.#switches, this.#links, ends, from, tag);
  }

  #cutBroken(): void {
    for (const open of this.#connections) {
      const reach = this.reachable(open.from, open.service, open.tag);
      if (!reach.ok) cut(open, reach.path.join('; '));
    }
  }
}

function isService(endpoint: Endpoint): endpoint is Service {
  return 'address' in endpoint;
}

/** A service is on one VLAN of its place; a NIC or a router takes every frame that its port sends out. */
function hears(endpoint: Endpoint, arrival: Arrival): boolean {
  return !isService(endpoint) || endpoint.tag === arrival.tag;
}

function cut(open: OpenConnection, why: string): void {
  open.socket.destroy(networkError('EPIPE', `${open.from.name} lost ${open.service.name}: ${why}`));
}

function networkError(code: string, message: string): NodeJS.ErrnoException {
  return Object.assign(new Error(message), { code });
}
