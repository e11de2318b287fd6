import type { PortName } from './os9-port-name.ts';

/** The settings of a physical port or port-channel. */
export interface PortConfig {
  description: string;
  /** `portmode hybrid`: takes untagged and tagged VLANs together. */
  hybrid: boolean;
  /** `switchport`: layer 2 mode, the condition of any VLAN membership. */
  switchport: boolean;
  shutdown: boolean;
  /** Address of a routed port, or null. */
  ip: string | null;
  /** The port-channel this port is a member of, or null. */
  lag: PortName | null;
  /** How it became a member: in the port-channel (`channel-member`) or on the port by LACP. */
  lagBy: 'channel-member' | 'lacp';
  /** Lines that are kept and shown but mean nothing to the model, such as spanning tree. */
  extra: string[];
}

export interface VlanConfig {
  description: string;
  name: string;
  shutdown: boolean;
  /** Address of a routed VLAN, or null. */
  ip: string | null;
  extra: string[];
  tagged: Set<PortName>;
  /** Explicit members only; membership of the default VLAN is implicit. */
  untagged: Set<PortName>;
}

export interface UserConfig {
  password: string;
  /** 15 lands in privileged mode at once. */
  privilege: number;
  /** The switch refuses the right password too. */
  locked?: boolean;
}

/** One whole configuration: what `show running-config` shows and `write memory` saves. */
export interface Os9Config {
  hostname: string;
  /** Null = `default-vlan disable`: ports without a VLAN are in the null VLAN, which leads nowhere. */
  defaultVlan: number | null;
  enableSecret: string | null;
  users: Map<string, UserConfig>;
  ports: Map<PortName, PortConfig>;
  vlans: Map<number, VlanConfig>;
  /** `configuration mode exclusive auto`: whoever enters configuration mode locks the others out. */
  exclusiveAuto: boolean;
  /** Whether log messages appear on terminal lines. */
  loggingMonitor: boolean;
}

export function newPort(): PortConfig {
  return {
    description: '',
    hybrid: false,
    switchport: false,
    shutdown: true,
    ip: null,
    lag: null,
    lagBy: 'channel-member',
    extra: [],
  };
}

export function newVlan(shutdown: boolean): VlanConfig {
  return {
    description: '',
    name: '',
    shutdown,
    ip: null,
    extra: [],
    tagged: new Set(),
    untagged: new Set(),
  };
}
