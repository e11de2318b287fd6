import { CodedError } from './coded-error.ts';

/**
 * A switch port in the canonical form of its switch type, unique on that switch and compared as a string.
 * Made by a switch type's `parsePort` only (see {@link os9PortId}, {@link plainPortId}).
 */
export type PortId = string & { readonly __brand: 'PortId' };

/** OS9 interface types: every accepted prefix (lower case) to the long name that the CLI prints. */
const os9Types: Readonly<Record<string, string>> = {
  gi: 'GigabitEthernet',
  gigabitethernet: 'GigabitEthernet',
  te: 'TenGigabitEthernet',
  tengigabitethernet: 'TenGigabitEthernet',
  tf: 'twentyFiveGigE',
  twentyfivegige: 'twentyFiveGigE',
  fo: 'fortyGigE',
  fortygige: 'fortyGigE',
  fi: 'fiftyGigE',
  fiftygige: 'fiftyGigE',
  hu: 'hundredGigE',
  hundredgige: 'hundredGigE',
  po: 'Port-channel',
  'port-channel': 'Port-channel',
};

/**
 * Reads a Dell OS9 / Force10 port name. `Te 1/1`, `te1/1`, `TenGigabitEthernet 1/1`, `tengigabitethernet:1/1` and a bare
 * `1/1` (CloudStack's rack JSON: no prefix means ten gigabit) all give `TenGigabitEthernet 1/1`.
 * @throws CodedError `value.port` for an unknown interface type or a port number that is not `a/b`, `a/b/c` (or `n` for a port-channel).
 */
export function os9PortId(text: string): PortId {
  const match = /^([a-z][a-z-]*)?\s*:?\s*(\d+(?:\/\d+){0,2})$/i.exec(text.trim());
  const name = match && (match[1] === undefined ? 'TenGigabitEthernet' : os9Types[match[1].toLowerCase()]);
  if (!match || !name)
    throw badPort(text, 'write type:unit/port, for example tengigabitethernet:1/1 or Te 1/1');
  const parts = match[2]!.split('/').map(Number);
  if ((name === 'Port-channel') !== (parts.length === 1)) {
    throw badPort(text, 'ports are unit/port or unit/port/lane; only a port-channel is a single number');
  }
  return `${name} ${parts.join('/')}` as PortId;
}

/** Reads a port name that is its own canonical form, such as an Open vSwitch port (`tap0`, `n1p1`). */
export function plainPortId(text: string): PortId {
  const name = text.trim();
  if (!/^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}$/.test(name)) {
    throw badPort(text, 'use letters, digits and _ . : / - only');
  }
  return name as PortId;
}

function badPort(text: string, remedy: string): CodedError {
  return new CodedError({ code: 'value.port', retry: 'never', what: `"${text}" is not a port name`, remedy });
}
