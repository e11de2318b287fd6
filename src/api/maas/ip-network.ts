import { isIP } from 'node:net';

/** A network of IPv4 or IPv6 addresses; addresses are numbers. */
export interface IpNetwork {
  readonly family: 4 | 6;
  readonly prefix: number;
  readonly first: bigint;
  readonly last: bigint;
  /** `10.0.0.0/24`. */
  readonly cidr: string;
}

/** Null where it is no address with a prefix length. Bits behind the prefix are dropped. */
export function parseNetwork(text: string): IpNetwork | null {
  const [host = '', length = '', ...rest] = text.trim().split('/');
  const address = parseAddress(host);
  if (!address || rest.length > 0 || !/^\d{1,3}$/.test(length)) return null;
  const { family, value } = address;
  const bits = family === 4 ? 32 : 128;
  const prefix = Number(length);
  if (prefix > bits) return null;
  const size = 1n << BigInt(bits - prefix);
  const first = value - (value % size);
  return {
    family,
    prefix,
    first,
    last: first + size - 1n,
    cidr: `${formatAddress(first, family)}/${prefix}`,
  };
}

export function parseAddress(text: string): { readonly family: 4 | 6; readonly value: bigint } | null {
  const host = text.trim();
  const family = isIP(host);
  if (family === 4)
    return { family, value: host.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n) };
  if (family !== 6 || host.includes('%')) return null;
  return { family, value: groups(host).reduce((sum, group) => sum * 65_536n + BigInt(group), 0n) };
}

/** The shortest spelling (RFC 5952). */
export function formatAddress(value: bigint, family: 4 | 6): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
  const hex = Array.from({ length: 8 }, (_, at) =>
    ((value >> BigInt(112 - 16 * at)) & 65_535n).toString(16),
  ).join(':');
  // A URL's host is written by the same rules.
  return new URL(`http://[${hex}]`).hostname.slice(1, -1);
}

export function contains(network: IpNetwork, address: string): boolean {
  const parsed = parseAddress(address);
  return parsed?.family === network.family && parsed.value >= network.first && parsed.value <= network.last;
}

/** The addresses that hosts may have: without network and broadcast address, where there are such. */
export function usable({ family, prefix, first, last }: IpNetwork): readonly [first: bigint, last: bigint] {
  if (family === 4 && prefix < 31) return [first + 1n, last - 1n];
  if (family === 6 && prefix < 127) return [first + 1n, last];
  return [first, last];
}

function groups(host: string): readonly number[] {
  // ::ffff:192.0.2.1 ends in an IPv4 address.
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(host);
  if (tail) {
    const [a = 0, b = 0, c = 0, d = 0] = tail[2]!.split('.').map(Number);
    return groups(`${tail[1]!}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`);
  }
  const [left = '', right] = host.split('::', 2);
  const read = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((hex) => Number.parseInt(hex, 16));
  const head = read(left);
  if (right === undefined) return head;
  const end = read(right);
  return [...head, ...Array<number>(8 - head.length - end.length).fill(0), ...end];
}
