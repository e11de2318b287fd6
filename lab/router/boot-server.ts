import { parseMac } from '../../plugin-api/index.ts';
import type { Fabric, Frame, Place, Service, Tag } from '../network/index.ts';

const bootServerMac = parseMac('02:00:00:00:00:fd');

/**
 * The provisioning network's end: the DHCP server that points iPXE at the boot service, and the boot service's own
 * address. It is on one VLAN of its uplink only, tagged or (with a default VLAN) untagged.
 */
export class BootServer implements Service {
  readonly name = 'boot service';
  readonly place: Place;
  readonly tag: Tag;
  readonly #fabric: Fabric;
  readonly #detach: () => void;
  readonly #addresses = new Map<string, string>();
  /** Where the boot service really listens; null = it is down, and so is the DHCP server's boot URL. */
  #address: { readonly host: string; readonly port: number } | null = null;
  /** Whether the DHCP server answers. */
  dhcp = true;

  constructor(place: Place, tag: Tag, fabric: Fabric) {
    this.place = place;
    this.tag = tag;
    this.#fabric = fabric;
    this.#detach = fabric.attach(this);
  }

  setAddress(address: { readonly host: string; readonly port: number } | null): void {
    this.#address = address;
  }

  address(): { readonly host: string; readonly port: number } | null {
    return this.#address;
  }

  listening(): boolean {
    return true;
  }

  owns(mac: string): boolean {
    return mac === bootServerMac;
  }

  hear({ payload }: Frame): void {
    if (!this.dhcp || (payload.kind !== 'dhcp-discover' && payload.kind !== 'dhcp-request')) return;
    const address =
      this.#addresses.get(payload.client) ??
      `10.99.${this.#addresses.size >> 8}.${(this.#addresses.size & 255) + 10}`;
    this.#addresses.set(payload.client, address);
    const at = this.#address;
    const bootUrl = at && payload.by === 'ipxe' ? `http://${at.host}:${at.port}/boot.ipxe` : null;
    const kind = payload.kind === 'dhcp-discover' ? 'dhcp-offer' : 'dhcp-ack';
    this.#fabric.send(
      this,
      {
        source: bootServerMac,
        destination: payload.client,
        payload: { kind, client: payload.client, lease: { address, server: '10.99.0.1', bootUrl } },
      },
      this.tag,
    );
  }

  close(): void {
    this.#detach();
  }
}
