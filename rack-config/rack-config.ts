import type { Mac, PortId, SecretReference, VlanId } from '../plugin-api/index.ts';

/** A rack config that was read and found right. */
export interface RackConfig {
  readonly switches: readonly RackSwitch[];
  /** In the order of the file. */
  readonly wires: readonly Wire[];
  /** Servers named by hosts or declared in `servers`. */
  readonly servers: readonly RackServer[];
  /** What was accepted but is probably a mistake. */
  readonly warnings: readonly RackWarning[];
}

/** A switch, with what `SwitchTarget` needs except that secrets are still references. */
export interface RackSwitch {
  /** Unique in the rack config. */
  readonly name: string;
  readonly type: string;
  /** Address or host name; the absolute path of the socket where the transport is a local one. */
  readonly host: string;
  readonly transport: string;
  /** 0 where the transport is a local socket. */
  readonly tcpPort: number;
  readonly username: string;
  readonly password: SecretReference;
  readonly enablePassword: SecretReference | null;
  readonly hostKeyPin: string | null;
  readonly legacyCrypto: boolean;
  readonly uplinks: readonly PortId[];
  readonly fabric: string;
  /** Native VLAN of a port on the provisioning network; the same for all switches of a fabric. */
  readonly provisioning: VlanId | 'default-vlan';
  /** Native VLAN of a parked port, or `shut` = admin-down. */
  readonly park: VlanId | 'shut';
  /** Line of the switch in the file. */
  readonly line: number;
}

/** A NIC and the port it is connected to. Each MAC and each port of a switch occurs once. */
export interface Wire {
  readonly mac: Mac;
  /** Name of the switch. */
  readonly switch: string;
  readonly port: PortId;
  readonly server: string | null;
  readonly line: number;
}

export interface RackServer {
  readonly name: string;
  readonly wiring: 'managed' | 'none';
}

export interface RackWarning {
  readonly line: number;
  readonly column: number;
  readonly path: string;
  readonly message: string;
}
