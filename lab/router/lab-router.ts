import { parseMac, type Mac } from '../../plugin-api/index.ts';
import { EventBus } from '../../src/kernel/events/event-bus.ts';
import {
  describePlace,
  type DhcpLease,
  type Endpoint,
  type Fabric,
  type Frame,
  type Place,
  type Tag,
} from '../network/index.ts';

/** A tenant's network behind the virtual router: one VLAN. */
export interface TenantNetwork {
  readonly name: string;
  readonly tenant: string;
  readonly vlan: number;
  /** First three octets: `10.1.1`. The router has `.1`. */
  readonly prefix: string;
}

export interface Reservation {
  readonly mac: Mac;
  readonly vlan: number;
  readonly address: string;
}

export interface LabLease extends Reservation {
  /** Switch port through which the request came in. */
  readonly seenAt: string;
  /** How often it was asked for. */
  readonly requests: number;
}

/** A DHCP request that nobody here may answer: the MAC is not allotted in that VLAN. */
export interface StrayRequest {
  readonly mac: string;
  readonly vlan: number;
  readonly seenAt: string;
}

export interface RouterEvents {
  readonly lease: LabLease;
  /** The cloud took a MAC back: its instance is gone. */
  readonly released: Reservation;
  readonly stray: StrayRequest;
}

const routerMac = parseMac('02:00:00:00:00:fe');

/**
 * CloudStack's virtual router as far as it shows who is heard where: per VLAN a DHCP server that knows only the allotted
 * MACs, and pings. It stands behind an uplink and gets only what the switches carry there, tagged.
 */
export class LabRouter implements Endpoint {
  readonly name = 'virtual router';
  readonly place: Place;
  readonly events = new EventBus<RouterEvents>();
  readonly #fabric: Fabric;
  readonly #networks = new Map<number, TenantNetwork>();
  readonly #reservations: Reservation[] = [];
  readonly #leases = new Map<string, LabLease>();
  readonly #strays: StrayRequest[] = [];
  readonly #detach: () => void;
  #echo: { readonly id: number; answered: boolean } | null = null;
  #echoes = 0;

  constructor(place: Place, fabric: Fabric, networks: readonly TenantNetwork[] = []) {
    this.place = place;
    this.#fabric = fabric;
    for (const network of networks) this.addNetwork(network);
    this.#detach = fabric.attach(this);
  }

  addNetwork(network: TenantNetwork): void {
    this.#networks.set(network.vlan, network);
  }

  get networks(): readonly TenantNetwork[] {
    return [...this.#networks.values()];
  }

  /** Allots a MAC in a network, as CloudStack does for a NIC of an instance. @param address default the next free one. */
  reserve(vlan: number, mac: Mac, address?: string): Reservation {
    const network = this.#networks.get(vlan);
    if (!network) throw new Error(`the lab's cloud has no network on VLAN ${vlan}`);
    this.#drop(mac, vlan);
    const taken = new Set(this.#reservations.filter((r) => r.vlan === vlan).map((r) => r.address));
    const free = Array.from({ length: 245 }, (_, n) => `${network.prefix}.${n + 10}`).find(
      (a) => !taken.has(a),
    );
    const chosen = address ?? free;
    if (chosen === undefined) throw new Error(`${network.name} has no free address`);
    const reservation = { mac, vlan, address: chosen };
    this.#reservations.push(reservation);
    return reservation;
  }

  /** Takes a MAC back wherever it is allotted: the cloud has forgotten the NIC. */
  release(mac: Mac): void {
    const gone = this.#reservations.filter((r) => r.mac === mac);
    for (const reservation of gone) {
      this.#drop(mac, reservation.vlan);
      this.events.emit('released', reservation);
    }
  }

  get reservations(): readonly Reservation[] {
    return this.#reservations;
  }

  get leases(): readonly LabLease[] {
    return [...this.#leases.values()];
  }

  leaseOf(mac: Mac, vlan?: number): LabLease | null {
    return (
      this.leases.find((lease) => lease.mac === mac && (vlan === undefined || lease.vlan === vlan)) ?? null
    );
  }

  get strays(): readonly StrayRequest[] {
    return this.#strays;
  }

  /** The tenant that a MAC is allotted to; null = nobody's. */
  tenantOf(mac: string): string | null {
    const found = this.#reservations.find((r) => r.mac === mac);
    return found ? this.tenantOfVlan(found.vlan) : null;
  }

  tenantOfVlan(vlan: number): string | null {
    return this.#networks.get(vlan)?.tenant ?? null;
  }

  /** Sends an echo request to whoever has a lease with this MAC; true when the answer came back. */
  ping(mac: Mac, vlan?: number): boolean {
    const lease = this.leaseOf(mac, vlan);
    if (!lease) return false;
    const echo = { id: ++this.#echoes, answered: false };
    this.#echo = echo;
    this.#fabric.send(
      this,
      { source: routerMac, destination: mac, payload: { kind: 'echo', id: echo.id, address: lease.address } },
      lease.vlan,
    );
    return echo.answered;
  }

  listening(): boolean {
    return true;
  }

  owns(mac: string): boolean {
    return mac === routerMac;
  }

  hear(frame: Frame, tag: Tag, from: Place): void {
    const { payload } = frame;
    if (payload.kind === 'echo-reply' && this.#echo?.id === payload.id) this.#echo.answered = true;
    if (payload.kind !== 'dhcp-discover' && payload.kind !== 'dhcp-request') return;
    const network = tag === null ? undefined : this.#networks.get(tag);
    if (tag === null || !network) return;
    const reservation = this.#reservations.find((r) => r.mac === payload.client && r.vlan === tag);
    if (!reservation) return this.#stray({ mac: payload.client, vlan: tag, seenAt: describePlace(from) });
    const lease: DhcpLease = { address: reservation.address, server: `${network.prefix}.1`, bootUrl: null };
    if (payload.kind === 'dhcp-request') {
      const key = `${reservation.mac} ${tag}`;
      const requests = (this.#leases.get(key)?.requests ?? 0) + 1;
      const granted = { ...reservation, seenAt: describePlace(from), requests };
      this.#leases.set(key, granted);
      this.events.emit('lease', granted);
    }
    this.#fabric.send(
      this,
      {
        source: routerMac,
        destination: payload.client,
        payload: {
          kind: payload.kind === 'dhcp-discover' ? 'dhcp-offer' : 'dhcp-ack',
          client: payload.client,
          lease,
        },
      },
      tag,
    );
  }

  close(): void {
    this.#detach();
  }

  #stray(stray: StrayRequest): void {
    this.#strays.push(stray);
    if (this.#strays.length > 1_000) this.#strays.shift();
    this.events.emit('stray', stray);
  }

  #drop(mac: Mac, vlan: number): void {
    const at = this.#reservations.findIndex((r) => r.mac === mac && r.vlan === vlan);
    if (at !== -1) this.#reservations.splice(at, 1);
    this.#leases.delete(`${mac} ${vlan}`);
  }
}
