import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { Secret } from '../../../plugin-api/index.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';

/** Our certificate towards the management servers, with its key. */
export interface ClientIdentity {
  /** Our own certificate first; the chain above it may follow. */
  readonly certificatePem: string;
  readonly keyPem: Secret;
  /** For example `CN=csbm`. */
  readonly subject: string;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

/**
 * The identity of a certificate and its key, both PEM.
 * @throws ServiceError `agent.identity` when one of them cannot be read, or they do not belong together.
 */
export function clientIdentity(certificatePem: string, keyPem: Secret): ClientIdentity {
  const certificate = readCertificate(certificatePem);
  let belongs: boolean;
  try {
    belongs = certificate.checkPrivateKey(createPrivateKey(keyPem.reveal()));
  } catch {
    // What OpenSSL says about a key is not for anybody's eyes.
    throw identityError('the private key cannot be read');
  }
  if (!belongs) throw identityError('the private key does not belong to the certificate');
  return {
    certificatePem,
    keyPem,
    subject: certificate.subject.replaceAll('\n', ', '),
    expiresAt: Date.parse(certificate.validTo),
  };
}

/** @throws ServiceError `agent.identity` when the text holds no certificate. */
export function readCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw identityError('the certificate cannot be read', cause);
  }
}

export function identityError(what: string, cause?: unknown, where = 'client certificate'): ServiceError {
  return new ServiceError({ code: 'agent.identity', where, what, cause });
}
