import type { Mac, PortId, Secret, VlanId } from '../../../plugin-api/index.ts';
import type { Machine } from '../machine/machine.ts';

/** One port of one switch. */
export interface PortPlace {
  readonly switch: string;
  readonly port: PortId;
}

/** A ToR switch as the rack config declares it, plus what was learned. */
export interface Switch {
  /** Unique name, for people and as a key. */
  readonly name: string;
  readonly fabric: string;
  readonly type: string;
  readonly transport: string;
  readonly host: string;
  readonly tcpPort: number;
  readonly username: string;
  readonly password: Secret;
  readonly enablePassword: Secret | null;
  /** SHA-256 pin from the rack config, else the key seen at first use, else null. */
  readonly hostKeyPin: string | null;
  readonly legacyCrypto: boolean;
  readonly uplinks: readonly PortId[];
  /** Where machines boot our ramdisk: an explicit VLAN, or the switch's default VLAN. */
  readonly provisioning: VlanId | 'default-vlan';
  /** A VLAN that leads nowhere, or admin-down where there is none. */
  readonly park: VlanId | 'shut';
  /** The default VLAN's id as last read, null when unknown or disabled. */
  readonly defaultVlan: VlanId | null;
  /** Set when a change is active but not saved on the switch: epoch milliseconds since when. */
  readonly unsavedSince: number | null;
  readonly version: number;
}

/** What the other switches of a fabric must know of one. */
export type FabricSwitch = Pick<Switch, 'name' | 'uplinks' | 'provisioning' | 'park' | 'unsavedSince'>;

/** One line of the rack config: this MAC is cabled to this port. */
export interface Wire extends PortPlace {
  readonly mac: Mac;
  /** Name that groups NICs into one server, or null. */
  readonly server: string | null;
}

/** A machine's NIC that is cabled to a known port. */
export interface ConnectedPort extends PortPlace {
  readonly mac: Mac;
}

/** The machine's MACs ∩ the rack config, in the order of the machine's NICs. */
export function connectedPorts(machine: Machine, wires: readonly Wire[]): readonly ConnectedPort[] {
  const byMac = new Map(wires.map((wire) => [wire.mac, wire]));
  return machine.nics.flatMap((nic) => {
    const wire = byMac.get(nic.mac);
    return wire ? [{ mac: nic.mac, switch: wire.switch, port: wire.port }] : [];
  });
}

export function describePlace(place: PortPlace): string {
  return `${place.switch} ${place.port}`;
}
