import type { Frame, Tag } from './frame.ts';

/** One port of one switch, by the name that the switch itself uses. */
export interface Place {
  readonly switch: string;
  readonly port: string;
}

/** What a port does with frames, as the switch's own state says. */
export interface PortMembership {
  /** Where untagged frames land and which VLAN leaves untagged; null = untagged frames are dropped. */
  readonly native: number | null;
  readonly tagged: readonly number[];
  /** Administratively up. */
  readonly up: boolean;
}

/** A switch as the fabric sees it. */
export interface FabricSwitch {
  readonly name: string;
  /** Null when the switch has no such port. */
  membership(port: string): PortMembership | null;
  /** Calls back after every change of any port or VLAN; the returned function unsubscribes. */
  onChange(listener: () => void): () => void;
}

/** A cable between two switches. */
export interface Link {
  readonly a: Place;
  readonly b: Place;
}

/** Something at the end of a cable: a NIC, or whatever stands behind an uplink. */
export interface Endpoint {
  readonly name: string;
  readonly place: Place;
  /** False while powered off or dead: nothing is delivered. */
  listening(): boolean;
  /** Whether unicast frames to this MAC are for it. */
  owns(mac: string): boolean;
  /** @param from where the frame entered the fabric. */
  hear(frame: Frame, tag: Tag, from: Place): void;
}

/** An endpoint that also takes TCP connections, on one VLAN of its place. */
export interface Service extends Endpoint {
  /** The tag with which its frames travel at its place. */
  readonly tag: Tag;
  /** Real address of the listening server; null while there is none. */
  address(): { readonly host: string; readonly port: number } | null;
}

export function describePlace(place: Place): string {
  return `${place.switch} ${place.port}`;
}

export function samePlace(a: Place, b: Place): boolean {
  return a.switch === b.switch && a.port === b.port;
}
