import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { Server as HttpsServer } from 'node:https';
import { createSecureContext } from 'node:tls';
import { seconds, type Clock, type Duration } from '../../../plugin-api/index.ts';
import { asCodedError, ServiceError } from '../errors/service-error.ts';
import type { Log } from '../log/log.ts';

/** Older versions are broken (RFC 8996). */
const minVersion = 'TLSv1.2';

export interface TlsFilesOptions {
  /** Certificate and the intermediate ones after it, PEM. */
  readonly certFile: string;
  /** Its private key without a passphrase, PEM. */
  readonly keyFile: string;
  readonly clock: Clock;
  readonly log: Log;
  /** How often the files are looked at (default 10 s). */
  readonly interval?: Duration;
}

export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly minVersion: typeof minVersion;
}

/**
 * The certificate of a listener, read anew when its files change: connections that come afterwards get the new one, those that
 * are there stay. What cannot be used (half replaced, say) is told in the log, and the last good one stays in use.
 */
export class TlsFiles {
  readonly #options: TlsFilesOptions;
  readonly #servers = new Set<Pick<HttpsServer, 'setSecureContext'>>();
  readonly #stop = new AbortController();
  #material: TlsMaterial;
  #stamp: string;
  #told: string | null = null;

  /** @throws ServiceError `config.invalid` naming the file, and what is wrong with it */
  constructor(options: TlsFilesOptions) {
    this.#options = options;
    this.#stamp = stampOf(options);
    this.#material = readMaterial(options);
    this.#warnOfEnd();
  }

  get material(): TlsMaterial {
    return this.#material;
  }

  /** From now on the server gets each new certificate. */
  serve(server: Pick<HttpsServer, 'setSecureContext'>): void {
    this.#servers.add(server);
  }

  /** Looks at the files until {@link stop}. */
  watch(): void {
    const { clock, interval = seconds(10) } = this.#options;
    const loop = async (): Promise<void> => {
      for (;;) {
        await clock.sleep(interval, this.#stop.signal);
        this.look();
      }
    };
    loop().catch(() => undefined);
  }

  stop(): void {
    this.#stop.abort(new Error('stopped'));
  }

  /** Reads the files if they changed, or failed before. */
  look(): void {
    const { certFile, log } = this.#options;
    const stamp = stampOf(this.#options);
    if (stamp === this.#stamp && this.#told === null) return;
    // Noted before reading: a change during the reading is seen at the next look.
    this.#stamp = stamp;
    try {
      this.#material = readMaterial(this.#options);
    } catch (thrown) {
      const { message } = asCodedError(thrown);
      if (message !== this.#told)
        log.error({ certFile, error: message }, 'new certificate cannot be used; the old one stays');
      this.#told = message;
      return;
    }
    this.#told = null;
    for (const server of this.#servers) server.setSecureContext(this.#material);
    log.info({ certFile }, 'certificate read anew');
    this.#warnOfEnd();
  }

  #warnOfEnd(): void {
    const { certFile, clock, log } = this.#options;
    const { validTo } = new X509Certificate(this.#material.cert);
    if (Date.parse(validTo) < clock.now()) log.error({ certFile, validTo }, 'the certificate has expired');
  }
}

function readMaterial({ certFile, keyFile }: TlsFilesOptions): TlsMaterial {
  const cert = read(certFile);
  const key = read(keyFile);
  const certificate = attempt(certFile, 'holds no certificate in PEM', () => new X509Certificate(cert));
  const privateKey = attempt(keyFile, 'holds no private key in PEM without a passphrase', () =>
    createPrivateKey(key),
  );
  if (!certificate.checkPrivateKey(privateKey))
    throw unusable(keyFile, `is not the key of the certificate in ${certFile}`);
  const material = { cert, key, minVersion } as const;
  // What OpenSSL objects to besides (a key too short, say) comes out here, not at the first connection.
  attempt(certFile, 'is refused by OpenSSL', () => createSecureContext(material));
  return material;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
    throw unusable(file, `cannot be read (${why})`);
  }
}

function attempt<T>(file: string, what: string, work: () => T): T {
  try {
    return work();
  } catch {
    // OpenSSL's own words name its source lines; and nothing of a key may be repeated.
    throw unusable(file, what);
  }
}

function unusable(file: string, what: string): ServiceError {
  return new ServiceError({
    code: 'config.invalid',
    what: `TLS: ${file} ${what}`,
    remedy:
      'correct certFile and keyFile: a certificate with its chain, and its key, both PEM, readable for the service',
  });
}

/** Changes whenever one of the files is written, replaced, or pointed elsewhere. */
function stampOf({ certFile, keyFile }: Pick<TlsFilesOptions, 'certFile' | 'keyFile'>): string {
  return [certFile, keyFile]
    .map((file) => {
      try {
        const { ctimeMs, ino, mtimeMs, size } = statSync(file);
        return [ino, size, mtimeMs, ctimeMs].join('/');
      } catch (thrown) {
        // Not there, or not to be looked at just now: reading it says why.
        return String((thrown as NodeJS.ErrnoException).code);
      }
    })
    .join();
}
