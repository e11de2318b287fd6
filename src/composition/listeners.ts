import type { RequestListener } from 'node:http';
import type { Config } from '../config/config.ts';
import { listenerLimits, type ListenerLimits } from '../config/listener-limits.ts';
import { TlsFiles } from '../kernel/net/tls-files.ts';
import { createWebServer, type WebServer, type WebServerOptions } from '../kernel/net/web-server.ts';
import type { Base } from './base.ts';

type ListenerName = 'admin' | 'boot' | 'direct' | 'maas';

/** Limits and certificates of everything that listens. */
export interface Listeners {
  readonly limits: ListenerLimits;
  /** null = plain HTTP. */
  readonly certificates: Readonly<Record<ListenerName, TlsFiles | null>>;
  /** A server that does not listen yet. */
  create(name: ListenerName, app: RequestListener, options?: WebServerOptions): WebServer;
  /** Looks at the certificates' files again and again, until `stop`. */
  watch(): void;
  look(): void;
  stop(): void;
}

/** An open listener. */
export interface Door {
  readonly url: string;
  close(): Promise<void>;
}

/** @throws ServiceError `config.invalid` for a certificate that cannot be used */
export function prepareListeners({ config, timings, clock, log, metrics }: Base): Listeners {
  const limits = listenerLimits(config.limits);
  const certificateOf = ({ certFile, keyFile }: Config['http']['tls']): TlsFiles | null =>
    certFile === undefined || keyFile === undefined
      ? null
      : new TlsFiles({ certFile, keyFile, clock, log, interval: timings.tlsCheck });
  const certificates = {
    admin: certificateOf(config.http.tls),
    boot: certificateOf(config.boot.tls),
    direct: certificateOf(config.cloudstack.direct.tls),
    maas: certificateOf(config.maas.tls),
  };
  const files = Object.values(certificates).filter((found) => found !== null);
  return {
    limits,
    certificates,
    create: (listener, app, options) =>
      createWebServer(app, {
        ...limits.server,
        onRefusal: (reason) => metrics.refused.inc({ listener, reason }),
        tls: certificates[listener],
        ...options,
      }),
    watch: () => {
      for (const one of files) one.watch();
    },
    look: () => {
      for (const one of files) one.look();
    },
    stop: () => {
      for (const one of files) one.stop();
    },
  };
}
