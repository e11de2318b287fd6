import { createPublicKey, sign, type KeyObject } from 'node:crypto';
import {
  bitString,
  integer,
  objectId,
  pemText,
  relativeName,
  sequence,
  setOf,
  sha256WithRsa,
  subjectAltName,
  tagged,
} from './der.ts';

const commonName = '2.5.4.3';
const organization = '2.5.4.10';
/** Attribute by which a request asks for extensions (PKCS #9, RFC 2985, 5.4.2). */
const extensionRequest = '1.2.840.113549.1.9.14';

export interface CertificateRequestParts {
  /** An RSA private key. */
  readonly key: KeyObject;
  readonly commonName: string;
  readonly organization: string;
  /** IP addresses for the subjectAltName, at least one. */
  readonly addresses: readonly string[];
}

/**
 * A certificate request (PKCS #10, RFC 2986) in PEM, signed with SHA-256.
 * @throws RangeError when an address is none.
 */
export function certificateRequest(parts: CertificateRequestParts): string {
  const info = sequence(
    integer(Buffer.from([0])),
    sequence(relativeName(organization, parts.organization), relativeName(commonName, parts.commonName)),
    createPublicKey(parts.key).export({ type: 'spki', format: 'der' }),
    tagged(0xa0, sequence(objectId(extensionRequest), setOf(sequence(subjectAltName(parts.addresses))))),
  );
  const signature = sign('sha256', info, parts.key);
  return pemText('CERTIFICATE REQUEST', sequence(info, sha256WithRsa, bitString(signature)));
}
