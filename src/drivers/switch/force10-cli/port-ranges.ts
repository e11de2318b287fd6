import { os9PortId, type PortId } from '../../../../plugin-api/index.ts';

/**
 * A run of ports as the switch prints it, ends included: `Te 1/1-1/4`. Numbers are compared part by part, so that `1/1/1` to
 * `1/4/4` takes in every lane of the ports between.
 */
export interface PortRange {
  /** A canonical name that gives the type: the first port. */
  readonly first: PortId;
  readonly last: PortId;
}

/**
 * Reads both grammars of OS9: in the older one the unit sticks (`0/1-10,20-30,45`), in the newer one each number is whole
 * (`1/31,1/32`, `1/11-1/16,1/18`); port-channels are plain numbers (`1-5,10`).
 * @param type as printed, short or long: `Te`, `TenGigabitEthernet`
 * @throws CodedError for what is neither
 */
export function parsePortRanges(type: string, text: string): PortRange[] {
  const ranges: PortRange[] = [];
  let prefix: string[] = [];
  for (const item of text.split(',').map((part) => part.trim())) {
    const [from, to, ...rest] = item.split('-').map((part) => part.trim());
    if (from === undefined || rest.length > 0) throw new Error(`"${type} ${item}" is not a range of ports`);
    const first = complete(from, prefix);
    prefix = first.slice(0, -1);
    const last = to === undefined ? first : complete(to, prefix);
    const count = Number(last.at(-1)) - Number(first.at(-1)) + 1;
    if (count > mostPorts) throw new Error(`"${type} ${item}" has more than ${mostPorts} ports`);
    ranges.push({ first: portOf(type, first), last: portOf(type, last) });
  }
  return ranges;
}

/** No switch has as many ports in one range; a range of four thousand million would be written out port by port. */
const mostPorts = 4_096;

/** A type that we do not serve (`peGi`, on port extenders) still has members, which must keep their VLAN from being deleted. */
function portOf(type: string, numbers: readonly string[]): PortId {
  const name = `${type} ${numbers.join('/')}`;
  return /^pe[A-Z][a-z]$/.test(type) ? (name as PortId) : os9PortId(name);
}

export function rangeHas({ first, last }: PortRange, port: PortId): boolean {
  return typeOf(port) === typeOf(first) && compare(first, port) <= 0 && compare(port, last) <= 0;
}

/** Every port of a range whose ends differ in the last number only; of any other, whose inside cannot be known, the two ends. */
export function portsOf({ first, last }: PortRange): PortId[] {
  const from = numbersOf(first);
  const to = numbersOf(last);
  const prefix = from.slice(0, -1);
  if (prefix.join('/') !== to.slice(0, -1).join('/')) return [first, last];
  const start = from.at(-1)!;
  return Array.from(
    { length: Math.max(0, to.at(-1)! - start) + 1 },
    (_, i) => `${typeOf(first)} ${[...prefix, start + i].join('/')}` as PortId,
  );
}

/** `10` after `0/1` means `0/10`; a number that is whole stands for itself. */
function complete(number: string, prefix: readonly string[]): string[] {
  const parts = number.split('/');
  return [...prefix.slice(0, Math.max(0, prefix.length + 1 - parts.length)), ...parts];
}

function typeOf(port: PortId): string {
  return port.slice(0, port.indexOf(' '));
}

function numbersOf(port: PortId): number[] {
  return port
    .slice(port.indexOf(' ') + 1)
    .split('/')
    .map(Number);
}

function compare(a: PortId, b: PortId): number {
  const left = numbersOf(a);
  const right = numbersOf(b);
  for (let i = 0; i < Math.max(left.length, right.length); i += 1) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
