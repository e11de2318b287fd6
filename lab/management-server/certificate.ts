import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  verify,
  type KeyObject,
} from 'node:crypto';
import {
  bitString,
  boolean,
  extension,
  integer,
  octetString,
  pemText,
  relativeName,
  sequence,
  sha256WithRsa,
  subjectAltName,
  tagged,
} from '../../src/wire/x509/der.ts';

/** A certificate with its key. */
export interface Certificate {
  readonly der: Buffer;
  readonly pem: string;
  /** PKCS#8, PEM. */
  readonly keyPem: string;
}

/** A certificate authority as CloudStack's root CA provider makes it. */
export interface Authority extends Certificate {
  /** A certificate for a client, signed by this authority; `addresses` are for its SAN. */
  issue(commonName: string, addresses: readonly string[], days?: number): Certificate;
  /**
   * The certificate that a request (PEM) asks for: its subject, key and SAN, and `addresses` besides, as CloudStack adds those of the host.
   * @throws Error when the request's signature is wrong.
   */
  issueFor(request: string, addresses: readonly string[], days?: number): Pick<Certificate, 'der' | 'pem'>;
}

/** Days a certificate of the lab is valid. */
const validDays = 30;

/**
 * Makes a root CA: self-signed, no SAN, critical key usage for signing certificates and revocation lists only. CloudStack's management
 * server shows this very certificate on port 8250, although OpenSSL refuses it as a server certificate (INVALID_PURPOSE).
 */
export function createAuthority(commonName = 'ca.cloudstack.apache.org'): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const issuer = distinguishedName(commonName);
  const own = signedCertificate({
    issuer,
    subject: issuer,
    key: spki(publicKey),
    signer: privateKey,
    days: validDays,
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
    issue(subject, addresses, days = validDays) {
      const client = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const certificate = signedCertificate({
        issuer,
        subject: distinguishedName(subject),
        key: spki(client.publicKey),
        signer: privateKey,
        days,
        extensions: [subjectAltName(addresses)],
      });
      return { ...certificate, keyPem: pemOf(client.privateKey) };
    },
    issueFor(request, addresses, days = validDays) {
      const { subject, key, requested } = readRequest(request);
      const extensions = [subjectAltName([...addresses, ...requested])];
      return signedCertificate({ issuer, subject, key, signer: privateKey, days, extensions });
    },
  };
}

/** One element of DER: its tag, its content, and both as they stood. */
interface Element {
  readonly tag: number;
  readonly content: Buffer;
  readonly whole: Buffer;
}

function elements(bytes: Buffer): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const first = bytes.readUInt8(at + 1);
    const more = first < 0x80 ? 0 : first & 0x7f;
    const start = at + 2 + more;
    const end = start + (more === 0 ? first : bytes.readUIntBE(at + 2, more));
    found.push({
      tag: bytes.readUInt8(at),
      content: bytes.subarray(start, end),
      whole: bytes.subarray(at, end),
    });
    at = end;
  }
  return found;
}

/** What a certificate request (RFC 2986) asks for; the addresses of its SAN as text. */
function readRequest(pem: string): { subject: Buffer; key: Buffer; requested: string[] } {
  const der = Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  const [info, , signature] = elements(elements(der)[0]!.content);
  const [, subject, key, attributes] = elements(info!.content);
  const publicKey = createPublicKey({ key: key!.whole, format: 'der', type: 'spki' });
  if (!verify('sha256', info!.whole, publicKey, signature!.content.subarray(1)))
    throw new Error('the request is not signed with its own key');
  // Attribute, its set of values, Extensions, the one Extension, its octets, GeneralNames.
  const [attribute] = elements(attributes!.content);
  const [, values] = elements(attribute!.content);
  const [extensions] = elements(values!.content);
  const [asked] = elements(extensions!.content);
  const [names] = elements(elements(asked!.content).at(-1)!.content);
  const requested = elements(names!.content).map(({ content }) =>
    content.length === 4 ? [...content].join('.') : (content.toString('hex').match(/.{4}/g) ?? []).join(':'),
  );
  return { subject: subject!.whole, key: key!.whole, requested };
}

interface CertificateParts {
  /** Names, DER. */
  readonly issuer: Buffer;
  readonly subject: Buffer;
  /** SubjectPublicKeyInfo, DER. */
  readonly key: Buffer;
  readonly signer: KeyObject;
  /** Valid so many days from now; below zero it has expired. */
  readonly days: number;
  readonly extensions: readonly Buffer[];
}

/** RFC 5280, 4.1, in DER. */
function signedCertificate(parts: CertificateParts): Pick<Certificate, 'der' | 'pem'> {
  const now = Date.now();
  const day = 86_400_000;
  const serial = randomBytes(12);
  // Positive, and without a leading zero byte that DER would forbid.
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  const body = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    sha256WithRsa,
    parts.issuer,
    sequence(utcTime(now - day - Math.max(0, -parts.days * day)), utcTime(now + parts.days * day)),
    parts.subject,
    parts.key,
    tagged(0xa3, sequence(...parts.extensions)),
  );
  const der = sequence(body, sha256WithRsa, bitString(sign('sha256', body, parts.signer)));
  return { der, pem: pemText('CERTIFICATE', der) };
}

function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function spki(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' });
}

function keyIdentifier(key: KeyObject): Buffer {
  return createHash('sha1').update(spki(key)).digest();
}

function distinguishedName(commonName: string): Buffer {
  return sequence(relativeName('2.5.4.3', commonName));
}

function utcTime(epoch: number): Buffer {
  const digits = new Date(epoch).toISOString().replaceAll(/[-:T]/g, '').slice(2, 14);
  return tagged(0x17, Buffer.from(`${digits}Z`, 'ascii'));
}
