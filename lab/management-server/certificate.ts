import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { isIPv4 } from 'node:net';

/** A certificate with its key. */
export interface Certificate {
  readonly der: Buffer;
  readonly pem: string;
  /** PKCS#8, PEM. */
  readonly keyPem: string;
}

/** A certificate authority as CloudStack's root CA provider makes it. */
export interface Authority extends Certificate {
  /** A certificate for a client, signed by this authority; `addresses` are IPv4 addresses for its SAN. */
  issue(commonName: string, addresses: readonly string[]): Certificate;
}

/** Days a certificate of the lab is valid. */
const validDays = 30;

/**
 * Makes a root CA: self-signed, no SAN, critical key usage for signing certificates and revocation lists only. CloudStack's management
 * server shows this very certificate on port 8250, although OpenSSL refuses it as a server certificate (INVALID_PURPOSE).
 */
export function createAuthority(commonName = 'ca.cloudstack.apache.org'): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const own = signedCertificate({
    issuer: commonName,
    subject: commonName,
    publicKey,
    signer: privateKey,
    extensions: [
      extension('2.5.29.19', true, sequence(boolean(true))),
      // keyCertSign (bit 5) and cRLSign (bit 6).
      extension('2.5.29.15', true, bitString(Buffer.from([0x06]), 1)),
      extension('2.5.29.14', false, octetString(keyIdentifier(publicKey))),
    ],
  });
  return {
    ...own,
    keyPem: pemOf(privateKey),
    issue(subject, addresses) {
      const client = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const names = addresses.map((address) => tagged(0x87, addressBytes(address)));
      const certificate = signedCertificate({
        issuer: commonName,
        subject,
        publicKey: client.publicKey,
        signer: privateKey,
        extensions: [extension('2.5.29.17', false, sequence(...names))],
      });
      return { ...certificate, keyPem: pemOf(client.privateKey) };
    },
  };
}

interface CertificateParts {
  readonly issuer: string;
  readonly subject: string;
  readonly publicKey: KeyObject;
  readonly signer: KeyObject;
  readonly extensions: readonly Buffer[];
}

/** RFC 5280, 4.1, in DER. */
function signedCertificate(parts: CertificateParts): Pick<Certificate, 'der' | 'pem'> {
  const algorithm = sequence(objectId('1.2.840.113549.1.1.11'), tagged(0x05, Buffer.alloc(0)));
  const now = Date.now();
  const day = 86_400_000;
  const serial = randomBytes(12);
  // Positive, and without a leading zero byte that DER would forbid.
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  const body = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    algorithm,
    distinguishedName(parts.issuer),
    sequence(utcTime(now - day), utcTime(now + validDays * day)),
    distinguishedName(parts.subject),
    parts.publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...parts.extensions)),
  );
  const der = sequence(body, algorithm, bitString(sign('sha256', body, parts.signer), 0));
  const lines = der.toString('base64').match(/.{1,64}/g)!;
  return { der, pem: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n` };
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function keyIdentifier(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest();
}

function distinguishedName(commonName: string): Buffer {
  const name = sequence(objectId('2.5.4.3'), tagged(0x0c, Buffer.from(commonName, 'utf8')));
  return sequence(tagged(0x31, name));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectId(id), ...(critical ? [boolean(true)] : []), octetString(value));
}

function tagged(tag: number, content: Buffer): Buffer {
  const length: number[] = [];
  if (content.length < 0x80) length.push(content.length);
  else {
    for (let rest = content.length; rest > 0; rest >>>= 8) length.unshift(rest & 0xff);
    length.unshift(0x80 | length.length);
  }
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

function sequence(...items: Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(items));
}

function integer(bytes: Buffer): Buffer {
  return tagged(0x02, bytes);
}

function boolean(value: boolean): Buffer {
  return tagged(0x01, Buffer.from([value ? 0xff : 0x00]));
}

function octetString(bytes: Buffer): Buffer {
  return tagged(0x04, bytes);
}

function bitString(bytes: Buffer, unusedBits: number): Buffer {
  return tagged(0x03, Buffer.concat([Buffer.from([unusedBits]), bytes]));
}

function objectId(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split('.').map(Number);
  const bytes = [first! * 40 + second!];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return tagged(0x06, Buffer.from(bytes));
}

function utcTime(epoch: number): Buffer {
  const digits = new Date(epoch).toISOString().replaceAll(/[-:T]/g, '').slice(2, 14);
  return tagged(0x17, Buffer.from(`${digits}Z`, 'ascii'));
}

function addressBytes(address: string): Buffer {
  if (!isIPv4(address)) throw new RangeError(`${address} is not an IPv4 address`);
  return Buffer.from(address.split('.').map(Number));
}
