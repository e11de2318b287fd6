import { os9PortId, type PortAdmin, type PortId } from '../../../../plugin-api/index.ts';

/** What matters of a port's own configuration. Its VLANs are not there: OS9 keeps them with the VLAN. */
export interface PortConfig {
  readonly admin: PortAdmin;
  readonly hybrid: boolean;
  readonly switchport: boolean;
  /** Why the port must be left alone, or null. */
  readonly guarded: string | null;
  /** The port keeps its VLANs itself (`vlan tagged ...`, `auto vlan`): an I/O aggregator, which is another kind of device. */
  readonly portCentric: boolean;
}

/**
 * Reads `show running-config interface <port>`, or null when it shows no such port.
 *
 * A lone `!` does not end the interface: it also stands before sub-blocks such as `protocol lldp`, after which comes the
 * `no shutdown` of the port. The next line in the first column that is a command does.
 */
export function parsePortConfig(lines: readonly string[], port: PortId): PortConfig | null {
  const block = interfaceBlock(lines, (name) => samePort(name, port));
  if (!block) return null;
  const has = (pattern: RegExp): boolean => block.some((line) => pattern.test(line));
  return {
    admin: has(/^no shutdown$/) ? 'up' : 'down',
    hybrid: has(/^portmode hybrid$/),
    switchport: has(/^switchport$/),
    guarded: guardOf(block),
    portCentric: has(/^(?:vlan (?:tagged|untagged)|auto vlan)\b/),
  };
}

/** `show running-config interface`, by port: the lines of each, as {@link parsePortConfig} reads them. */
export function splitPortConfigs(lines: readonly string[]): ReadonlyMap<PortId, readonly string[]> {
  const ports = new Map<PortId, string[]>();
  let current: string[] | null = null;
  for (const line of lines) {
    const name = /^interface (.+)$/i.exec(line)?.[1];
    if (name !== undefined) {
      const port = portNamed(name);
      current = port && [];
      if (port && current) ports.set(port, current);
    }
    current?.push(line);
  }
  return ports;
}

/** The group that `show interfaces <port>` says the port belongs to: `Port is part of Port-channel 1`. */
export function parseLagMembership(lines: readonly string[]): string | null {
  for (const line of lines) {
    const lag = /^\s*Port is part of (Port-channel \d+)/i.exec(line)?.[1];
    if (lag !== undefined) return lag;
  }
  return null;
}

/** What matters of a VLAN before it is deleted, or null when it is not there. */
export function parseVlanConfig(
  lines: readonly string[],
  vlan: number,
): { description: string; routed: boolean; members: readonly string[] } | null {
  const block = interfaceBlock(lines, (name) => new RegExp(`^vlan\\s*${vlan}$`, 'i').test(name));
  if (!block) return null;
  return {
    description: block.find((line) => line.startsWith('description '))?.slice('description '.length) ?? '',
    routed: block.some((line) => /^(?:ip|ipv6) address \S/.test(line)),
    members: block.filter((line) => /^(?:un)?tagged \S/.test(line)),
  };
}

function interfaceBlock(lines: readonly string[], isWanted: (name: string) => boolean): string[] | null {
  const start = lines.findIndex((line) => {
    const name = /^interface (.+)$/i.exec(line)?.[1];
    return name !== undefined && isWanted(name.trim());
  });
  if (start < 0) return null;
  const length = lines.slice(start + 1).findIndex((line) => /^[^\s!]/.test(line));
  const end = length < 0 ? lines.length : start + 1 + length;
  return lines.slice(start + 1, end).map((line) => line.trim());
}

function samePort(name: string, port: PortId): boolean {
  return portNamed(name) === port;
}

/** Null for what is no port: a VLAN, a management interface. */
function portNamed(name: string): PortId | null {
  try {
    return os9PortId(name);
  } catch {
    return null;
  }
}

function guardOf(block: readonly string[]): string | null {
  const guards: readonly (readonly [RegExp, string])[] = [
    [/^(?:port-channel-protocol|port-channel \d+ mode)\b/, 'a LAG member'],
    [/^(?:ip|ipv6) address \S/, 'a routed port'],
    [/^vlan-stack\b/, 'a VLAN-stack port'],
    [/^switchport mode private-vlan\b/, 'a private VLAN port'],
  ];
  for (const [pattern, reason] of guards) {
    const line = block.find((text) => pattern.test(text));
    if (line !== undefined) return `${reason} ("${line}")`;
  }
  return null;
}
