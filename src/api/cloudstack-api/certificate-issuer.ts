import { connect } from 'node:net';
import { once } from 'node:events';
import { minutes, seconds, type Clock, type Duration } from '../../../plugin-api/index.ts';
import { withDeadline } from '../../kernel/concurrency/deadline.ts';
import { Mutex } from '../../kernel/concurrency/mutex.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';
import type { Log } from '../../kernel/log/log.ts';
import { issueCertificateResult } from '../../wire/cloudstack-api/response.ts';
import type { ApiClient } from './api-client.ts';

/** Where our certificate for port 8250 is kept; the key never leaves it. */
export interface CertificateKeeper {
  /** A certificate request (PEM) that names these addresses. */
  requestCertificate(addresses: readonly string[]): Promise<string>;
  /** Takes the certificate (PEM) of the last request into use. */
  installCertificate(pem: string, addresses: readonly string[]): Promise<void>;
  status(): CertificateView;
}

export interface CertificateView {
  /** `files` = an operator keeps it. */
  readonly source: 'files' | 'provisioned' | 'none';
  readonly state: string;
  readonly subject: string | null;
  /** Epoch milliseconds. */
  readonly expiresAt: number | null;
}

export interface CertificateIssuerOptions {
  readonly api: ApiClient;
  readonly keeper: CertificateKeeper;
  /** Management servers: our address is the one from which we reach them. */
  readonly servers: readonly { readonly host: string; readonly port: number }[];
  /** Addresses for the certificate besides the own ones. */
  readonly addresses: readonly string[];
  /** How long before its end a certificate is renewed. */
  readonly renewBefore: Duration;
  readonly clock: Clock;
  readonly log: Log;
  readonly settings?: Partial<CertificateIssuerSettings> | undefined;
}

export interface CertificateIssuerSettings {
  /** Between two looks at the certificate. */
  readonly checkEvery: Duration;
  /** Least time between two certificates that are asked for unasked, whatever the CA gives. */
  readonly spacing: Duration;
  /** TCP connect, for finding the own address. */
  readonly connectTimeout: Duration;
}

export const defaultCertificateIssuerSettings: CertificateIssuerSettings = {
  checkEvery: minutes(60),
  spacing: minutes(24 * 60),
  connectTimeout: seconds(5),
};

/** Has CloudStack's API issue our certificate: needed before the first connection where CloudStack authenticates strictly. */
export class CertificateIssuer {
  readonly #options: CertificateIssuerOptions;
  readonly #settings: CertificateIssuerSettings;
  readonly #turn = new Mutex();
  readonly #stopping = new AbortController();
  #issuedAt: number | null = null;
  #loop: Promise<void> | null = null;

  constructor(options: CertificateIssuerOptions) {
    this.#options = options;
    this.#settings = { ...defaultCertificateIssuerSettings, ...options.settings };
  }

  /**
   * A new certificate now.
   * @throws ServiceError `agent.identity`, `agent.unreachable`, `cloudstack.*`
   */
  issue(): Promise<CertificateView> {
    return this.#turn.run(async () => {
      const { api, keeper, log } = this.#options;
      const addresses = await this.#ownAddresses();
      const csr = await keeper.requestCertificate(addresses);
      const { certificates } = await api.job(
        'issueCertificate',
        { csr },
        issueCertificateResult,
        this.#stopping.signal,
      );
      await keeper.installCertificate(certificates.certificate, addresses);
      this.#issuedAt = this.#options.clock.monotonic();
      log.info({ addresses }, 'CloudStack issued our certificate');
      return keeper.status();
    });
  }

  /** Issues the first one, and renews it in time. Links that begin without one try again by themselves. */
  start(): void {
    this.#loop ??= this.#watch();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the service stops'));
    await this.#loop;
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#renewIfDue();
      await this.#options.clock.sleep(this.#settings.checkEvery, signal).catch(() => undefined);
    }
  }

  /** Never rejects: what is there stays in use, and the next look tries again. */
  async #renewIfDue(): Promise<void> {
    const { clock, keeper, log, renewBefore } = this.#options;
    const { source, expiresAt } = keeper.status();
    if (source === 'files') return;
    if (expiresAt !== null && expiresAt - clock.now() > renewBefore) return;
    if (this.#issuedAt !== null && clock.monotonic() - this.#issuedAt < this.#settings.spacing) return;
    try {
      await this.issue();
    } catch (thrown) {
      const { code, message } = asCodedError(thrown);
      if (!this.#stopping.signal.aborted)
        log.warn({ code, reason: message }, 'no certificate from CloudStack');
    }
  }

  /** Those from which the management servers are reached now, and the configured ones. */
  async #ownAddresses(): Promise<readonly string[]> {
    const { addresses, servers } = this.#options;
    const found = await Promise.all(servers.map((server) => this.#addressTowards(server)));
    const all = [...new Set([...found.filter((one) => one !== null), ...addresses])];
    if (all.length > 0) return all;
    throw new ServiceError({
      code: 'agent.unreachable',
      where: servers.map(({ host, port }) => `${host}:${port}`).join(', '),
      what: 'no management server can be reached, so the own address is not known',
      remedy: 'set cloudstack.agent.certificateAddresses',
    });
  }

  async #addressTowards({
    host,
    port,
  }: {
    readonly host: string;
    readonly port: number;
  }): Promise<string | null> {
    const socket = connect({ host, port });
    socket.on('error', () => undefined);
    try {
      return await withDeadline(
        this.#options.clock,
        this.#settings.connectTimeout,
        () => new Error('no connection in time'),
        async (signal) => {
          await once(socket, 'connect', { signal });
          return socket.localAddress?.replace(/^::ffff:(?=\d+\.)/i, '') ?? null;
        },
        this.#stopping.signal,
      );
    } catch {
      return null;
    } finally {
      socket.destroy();
    }
  }
}
