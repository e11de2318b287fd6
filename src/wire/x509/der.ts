import { isIP, isIPv4 } from 'node:net';

/** Writers of DER (ITU-T X.690), as far as certificates and certificate requests need it. */
export function tagged(tag: number, content: Buffer): Buffer {
  const length: number[] = [];
  if (content.length < 0x80) length.push(content.length);
  else {
    for (let rest = content.length; rest > 0; rest >>>= 8) length.unshift(rest & 0xff);
    length.unshift(0x80 | length.length);
  }
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

export function sequence(...items: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(items));
}

/** A SET with one member: more would have to be sorted. */
export function setOf(item: Buffer): Buffer {
  return tagged(0x31, item);
}

/** `bytes` in two's complement, most significant first. */
export function integer(bytes: Buffer): Buffer {
  return tagged(0x02, bytes);
}

export function boolean(value: boolean): Buffer {
  return tagged(0x01, Buffer.from([value ? 0xff : 0x00]));
}

export function octetString(bytes: Buffer): Buffer {
  return tagged(0x04, bytes);
}

export function bitString(bytes: Buffer, unusedBits = 0): Buffer {
  return tagged(0x03, Buffer.concat([Buffer.from([unusedBits]), bytes]));
}

function utf8String(text: string): Buffer {
  return tagged(0x0c, Buffer.from(text, 'utf8'));
}

export function objectId(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split('.').map(Number);
  const bytes = [first! * 40 + second!];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return tagged(0x06, Buffer.from(bytes));
}

/** sha256WithRSAEncryption (RFC 4055), with the NULL parameters that it demands. */
export const sha256WithRsa = sequence(objectId('1.2.840.113549.1.1.11'), tagged(0x05, Buffer.alloc(0)));

/** One attribute of a distinguished name, as a relative name of its own (RFC 5280, 4.1.2.4). */
export function relativeName(attribute: string, value: string): Buffer {
  return setOf(sequence(objectId(attribute), utf8String(value)));
}

/** An extension (RFC 5280, 4.1); `value` is its DER. */
export function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectId(id), ...(critical ? [boolean(true)] : []), octetString(value));
}

/**
 * The extension subjectAltName with addresses only (RFC 5280, 4.2.1.6).
 * @throws RangeError when one is no IP address.
 */
export function subjectAltName(addresses: readonly string[]): Buffer {
  const names = addresses.map((address) => tagged(0x87, addressBytes(address)));
  return extension('2.5.29.17', false, sequence(...names));
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  if (isIP(address) === 0 || address.includes('%')) throw new RangeError(`${address} is not an IP address`);
  // The URL parser writes an IPv6 address in its one short form, without an IPv4 tail.
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const [front, back] = [groups(head), groups(tail ?? '')];
  const words = [...front, ...Array<number>(8 - front.length - back.length).fill(0), ...back];
  return Buffer.from(words.flatMap((word) => [word >>> 8, word & 0xff]));
}

export function pemText(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g)!;
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
