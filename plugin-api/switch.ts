import type { DeviceContext } from './device-context.ts';
import type { PortId } from './port-id.ts';
import type { Secret } from './secret.ts';
import type { VlanId } from './vlan-id.ts';

export type PortAdmin = 'up' | 'down';

/**
 * What a port shall be. `native: 'default'` = untagged in the switch's default VLAN; `native: null` = in no VLAN that we
 * know of (where the switch has no such state: the default VLAN, which is why `null` goes with `admin: 'down'`).
 */
export interface DesiredPort {
  readonly native: VlanId | 'default' | null;
  /** Ascending. */
  readonly tagged: readonly VlanId[];
  readonly admin: PortAdmin;
}

/** What a port is, as the switch shows it. */
export interface ObservedPort {
  /** The untagged VLAN: an id, `'default'` for the switch's default VLAN, null for none. */
  readonly native: VlanId | 'default' | null;
  readonly tagged: readonly VlanId[];
  readonly admin: PortAdmin;
  /** Whether the port takes untagged and tagged VLANs together (OS9: `portmode hybrid` and `switchport`). */
  readonly prepared: boolean;
  /** Why the port must be left alone, in the switch's words (LAG member, routed, ...), or null. */
  readonly guarded: string | null;
}

export interface ObservedVlan {
  readonly id: VlanId;
  /** Made by us, as its marked description says; only such a VLAN may ever be deleted. */
  readonly ours: boolean;
  readonly description: string;
  /** Every member port that the switch shows, also those not asked for; absent where the driver cannot tell. */
  readonly members?: readonly PortId[];
}

/** One reading of a switch. Ports that were asked for and do not exist are absent from `ports`. */
export interface ObservedSwitch {
  readonly defaultVlan: VlanId | null;
  readonly ports: ReadonlyMap<PortId, ObservedPort>;
  readonly vlans: ReadonlyMap<VlanId, ObservedVlan>;
  /** True when the running configuration is known to differ from the saved one; null when the switch cannot tell. */
  readonly unsaved: boolean | null;
}

/** What a batch wants of one switch: whole states, never "add this, remove that". */
export interface SwitchIntent {
  readonly ports: ReadonlyMap<PortId, DesiredPort>;
  /** Ports that carry every VLAN we create; they gain VLANs, and nothing else about them is touched. */
  readonly uplinks: readonly PortId[];
  /** VLANs that must exist and be tagged on every uplink. */
  readonly carried: readonly VlanId[];
  /** VLANs no longer used by any port of ours: taken off the uplinks, and deleted if ours and empty. */
  readonly retired: readonly VlanId[];
  /**
   * True when the default VLAN is the provisioning network, or may be: no native move may then pass through it with the
   * port up (law 4e). Planners shut the port during any native move regardless; this makes it a checked promise.
   */
  readonly shutDuringMove: boolean;
}

/** The abstract steps of a plan, the same for every driver; a driver translates them to its device's language. */
export type SwitchStep =
  | { readonly do: 'ensure-vlan'; readonly vlan: VlanId; readonly description: string }
  | { readonly do: 'prepare-port'; readonly port: PortId }
  | { readonly do: 'set-admin'; readonly port: PortId; readonly admin: PortAdmin }
  | { readonly do: 'remove-tagged'; readonly port: PortId; readonly vlan: VlanId }
  | { readonly do: 'remove-native'; readonly port: PortId; readonly vlan: VlanId }
  | { readonly do: 'set-native'; readonly port: PortId; readonly vlan: VlanId }
  | { readonly do: 'add-tagged'; readonly port: PortId; readonly vlan: VlanId }
  | { readonly do: 'delete-vlan'; readonly vlan: VlanId };

/** How to reach one switch, as the rack config says. */
export interface SwitchTarget {
  /** Unique name within the service, for messages. */
  readonly name: string;
  readonly type: string;
  /** Address or host name; the path of the socket where the transport is a local one. */
  readonly host: string;
  readonly transport: string;
  /** TCP port; 0 where the transport has none. */
  readonly port: number;
  readonly username: string;
  readonly password: Secret;
  readonly enablePassword?: Secret | undefined;
  /** SHA-256 of the host key, hex or `SHA256:` base64 as `ssh-keygen -l` prints it; absent = trust on first use, reported by `hostKey`. */
  readonly hostKeyPin?: string | undefined;
  /** Allow SHA-1 key exchange and CBC ciphers, for old firmware. */
  readonly legacyCrypto: boolean;
}

/** What the rack config needs to know about a switch type, without loading its driver. */
export interface SwitchType {
  /** The value of `l2Switch.type`, exactly as CloudStack writes it. */
  readonly type: string;
  readonly defaultTransport: string;
  /** Transport name to its default TCP port; null = a local socket, whose absolute path stands in the place of the address. */
  readonly transports: Readonly<Record<string, number | null>>;
  /** Canonical form of a port name. @throws CodedError `value.port` */
  parsePort(text: string): PortId;
}

export interface SwitchDriver {
  readonly type: string;
  /** Opens a session: connects, logs in, enters privileged mode. @throws DeviceError `switch.*` */
  open(target: SwitchTarget, signal?: AbortSignal): Promise<SwitchSession>;
  /** Ordered steps from what was read to what is wanted; pure. Nothing to do = empty. @throws DeviceError for ports that must not be touched. */
  plan(observed: ObservedSwitch, intent: SwitchIntent): readonly SwitchStep[];
  /** The literal lines that `apply` would send, for a plan (law 8). */
  render(steps: readonly SwitchStep[]): readonly string[];
}

/** A logged-in session. One call at a time. After any rejection the session must be closed and the switch read again. */
export interface SwitchSession {
  /** SHA-256 of the host key seen, hex; null where the transport has none. */
  readonly hostKey: string | null;
  /** Reads the given ports and all VLANs that touch them or are ours. */
  read(ports: readonly PortId[], signal?: AbortSignal): Promise<ObservedSwitch>;
  /** Applies the steps in order and stops at the first that the switch refuses (thrown, with what was refused). */
  apply(steps: readonly SwitchStep[], signal?: AbortSignal): Promise<void>;
  /** Makes the running configuration survive a reload. @throws DeviceError `switch.unsaved` */
  save(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export type SwitchDriverFactory = (context: DeviceContext, settings: unknown) => SwitchDriver;
