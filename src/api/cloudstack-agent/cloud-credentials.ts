import { createPrivateKey, generateKeyPair, X509Certificate } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { Secret, type Clock, type Duration } from '../../../plugin-api/index.ts';
import { Mutex } from '../../kernel/concurrency/mutex.ts';
import type { Log } from '../../kernel/log/log.ts';
import { certificateRequest } from '../../wire/x509/certificate-request.ts';
import { pinFromPem, type CloudCredentials, type Credentials, type ServerTrust } from './agent-settings.ts';
import { clientIdentity, identityError, readCertificate, type ClientIdentity } from './client-identity.ts';
import { WatchedFiles } from './watched-files.ts';

export interface FileCredentialsOptions {
  /** CA certificate to pin (PEM), or `trustAll`. */
  readonly trust: { readonly caFile: string } | { readonly trustAll: true };
  /** Client certificate and key (PEM) that an operator keeps, or null. */
  readonly files: { readonly certificateFile: string; readonly keyFile: string } | null;
  /** Where the certificate and key are kept that a management server gave over the link. */
  readonly provisionedFile: string;
  /** Addresses for certificate requests besides those that the links have. */
  readonly addresses: readonly string[];
  /** How long before its end a certificate is warned of. */
  readonly warnBefore: Duration;
  readonly clock: Clock;
  readonly log: Log;
}

/** How it stands with our own certificate. */
export interface CertificateStatus {
  readonly source: 'files' | 'provisioned' | 'none';
  /** `unusable`: what is there now cannot be used; the last good one stays in use while the service runs. */
  readonly state: 'none' | 'good' | 'expiring' | 'expired' | 'unusable';
  readonly subject: string | null;
  /** Epoch milliseconds. */
  readonly expiresAt: number | null;
  /** What a person should do something about, or null. */
  readonly warning: string | null;
}

/** CloudStack's own agents use such keys. */
const keyBits = 2_048;
/** A day, in milliseconds. */
const day = 86_400_000;

/** Whom we trust and who we are, from files: read again whenever they changed, and written when a management server gives us a certificate. */
export class FileCredentials implements CloudCredentials {
  readonly #options: FileCredentialsOptions;
  readonly #trust: WatchedFiles<ServerTrust>;
  readonly #identity: WatchedFiles<ClientIdentity | null>;
  readonly #installing = new Mutex();
  /** The key of requests that no certificate came for yet; all hosts share it, as they will share the certificate. */
  #pending: Promise<Secret> | null = null;
  #current: ClientIdentity | null = null;
  #warned = '';

  constructor(options: FileCredentialsOptions) {
    const { trust, files, provisionedFile } = options;
    this.#options = options;
    this.#trust = new WatchedFiles('caFile' in trust ? [trust.caFile] : [], ([ca]) => {
      if ('trustAll' in trust) return trust;
      if (ca == null) throw identityError(`${trust.caFile} is not there`, undefined, 'CA certificate');
      try {
        return { pin: pinFromPem(ca) };
      } catch (cause) {
        throw identityError(`${trust.caFile} cannot be read as a certificate`, cause, 'CA certificate');
      }
    });
    this.#identity = new WatchedFiles(
      files ? [files.certificateFile, files.keyFile] : [provisionedFile],
      files
        ? ([certificate, key]) => {
            if (certificate == null) throw identityError(`${files.certificateFile} is not there`);
            if (key == null) throw identityError(`${files.keyFile} is not there`);
            return clientIdentity(certificate, new Secret(key));
          }
        : ([both]) => (both == null ? null : readProvisioned(both)),
    );
  }

  async current(): Promise<Credentials> {
    const trust = await this.#trust.read();
    this.#current = await this.#identity.read();
    this.#warn();
    return { trust, identity: this.#current };
  }

  status(): CertificateStatus {
    const identity = this.#current;
    const failure = this.#trust.failure ?? this.#identity.failure;
    const facts = {
      source: this.#options.files ? 'files' : identity ? 'provisioned' : 'none',
      subject: identity?.subject ?? null,
      expiresAt: identity?.expiresAt ?? null,
    } as const;
    if (failure) return { ...facts, state: 'unusable', warning: failure.message };
    if (!identity) return { ...facts, state: 'none', warning: null };
    const left = identity.expiresAt - this.#options.clock.now();
    const end = new Date(identity.expiresAt).toISOString();
    if (left <= 0)
      return { ...facts, state: 'expired', warning: `the client certificate expired at ${end}: renew it` };
    if (left > this.#options.warnBefore) return { ...facts, state: 'good', warning: null };
    const days = Math.floor(left / day);
    const warning = `the client certificate expires at ${end}, in ${days} day${days === 1 ? '' : 's'}: renew it`;
    return { ...facts, state: 'expiring', warning };
  }

  /** Looks every so often, since links may live longer than certificates; until aborted, and never rejects. */
  async watch(
    every: Duration,
    signal: AbortSignal,
    seen: (status: CertificateStatus) => void,
  ): Promise<void> {
    while (!signal.aborted) {
      await this.current().catch(() => this.#warn());
      seen(this.status());
      await this.#options.clock.sleep(every, signal).catch(() => undefined);
    }
  }

  async requestCertificate(addresses: readonly string[]): Promise<string> {
    this.#refuseBesideFiles();
    const key = await (this.#pending ??= newKey());
    return certificateRequest({
      key: createPrivateKey(key.reveal()),
      organization: 'cloudstack',
      commonName: hostname(),
      addresses: this.#wanted(addresses),
    });
  }

  installCertificate(pem: string, addresses: readonly string[]): Promise<void> {
    return this.#installing.run(() => this.#install(pem, addresses));
  }

  async #install(pem: string, addresses: readonly string[]): Promise<void> {
    this.#refuseBesideFiles();
    const { trust, identity: current } = await this.current();
    const certificate = readCertificate(pem);
    const keys = [this.#pending ? await this.#pending : null, current?.keyPem ?? null];
    const key = keys.find((one) => one && certificate.checkPrivateKey(createPrivateKey(one.reveal())));
    if (!key)
      throw identityError('it does not belong to the key of the certificate request: request one anew');
    if ('pin' in trust && !certificate.verify(new X509Certificate(trust.pin).publicKey))
      throw identityError('it was not signed by the pinned CA');
    if (Date.parse(certificate.validTo) <= this.#options.clock.now())
      throw identityError(`it expired already, at ${certificate.validTo}`);
    // With it, a server that authenticates strictly would refuse every link.
    const wanted = this.#wanted(addresses);
    if (!wanted.some((address) => certificate.checkIP(address) !== undefined))
      throw identityError(`it names none of our addresses (${wanted.join(', ')})`);
    const { subject, expiresAt } = clientIdentity(pem, key);
    await writeOwnFile(this.#options.provisionedFile, `${key.reveal().trim()}\n${pem.trim()}\n`);
    this.#pending = null;
    await this.current();
    this.#options.log.info(
      { subject, expiresAt: new Date(expiresAt).toISOString() },
      'a management server gave us a certificate: used by every next connection',
    );
  }

  #wanted(addresses: readonly string[]): readonly string[] {
    return [...new Set([...addresses.map(plainAddress), ...this.#options.addresses])];
  }

  #refuseBesideFiles(): void {
    if (this.#options.files)
      throw identityError('it comes from files that an operator keeps (clientCertFile), not over the link');
  }

  /** Once a day at most, and at each change. */
  #warn(): void {
    const { state, warning } = this.status();
    const key = `${state} ${Math.floor(this.#options.clock.now() / day)}`;
    if (warning === null || key === this.#warned) return;
    this.#warned = key;
    this.#options.log[state === 'expiring' ? 'warn' : 'error'](
      { code: 'agent.identity', reason: warning },
      'our certificate towards the management servers needs attention',
    );
  }
}

/** One file has both, so that a crash cannot leave a key and a certificate that do not belong together. */
function readProvisioned(both: string): ClientIdentity {
  const at = both.indexOf('-----BEGIN CERTIFICATE-----');
  if (at < 0) throw identityError('the file that keeps it has no certificate');
  return clientIdentity(both.slice(at), new Secret(both.slice(0, at)));
}

async function newKey(): Promise<Secret> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: keyBits });
  return new Secret(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
}

/** IPv4 as a dual-stack socket shows it is IPv4. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '');
}

/** For our eyes only, and either as it was or complete, also after a crash. */
async function writeOwnFile(path: string, text: string): Promise<void> {
  const draft = `${path}.new`;
  await rm(draft, { force: true });
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  const folder = await open(dirname(path));
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
