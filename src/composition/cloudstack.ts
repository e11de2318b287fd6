import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { milliseconds, minutes, type Clock } from '../../plugin-api/index.ts';
import { FileCredentials } from '../api/cloudstack-agent/cloud-credentials.ts';
import { ApiClient } from '../api/cloudstack-api/api-client.ts';
import { CertificateIssuer } from '../api/cloudstack-api/certificate-issuer.ts';
import { CloudInstances } from '../api/cloudstack-api/cloud-instances.ts';
import type { Config } from '../config/config.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import type { Log } from '../kernel/log/log.ts';
import type { Operations } from '../operations/operations.ts';
import { InstanceReconciler } from '../operations/reconcile/instance-reconciler.ts';
import type { World } from '../operations/world.ts';

/** The CloudStack that we belong to, besides its commands. */
export interface Cloudstack {
  /** Of the agents' links; null = there are none. */
  readonly credentials: FileCredentials | null;
  /** null = its HTTP API is not configured. */
  readonly reconciler: InstanceReconciler | null;
  /** null = its HTTP API is not configured, or there are no links. */
  readonly issuer: CertificateIssuer | null;
  stop(): Promise<void>;
}

/** Reads what we show CloudStack, and begins to ask it, over its HTTP API, for what no command tells us. */
export async function connectCloudstack(
  { cloudstack, stateDir, timings: { scale } }: Config,
  world: World,
  operations: Operations,
): Promise<Cloudstack> {
  const { clock, log, metrics } = world;
  const credentials = cloudCredentials(cloudstack.agent, stateDir, clock, log);
  // What cannot be used at all is told at the start, not at the first connection.
  await credentials?.current();
  const watching = new AbortController();
  const watched = credentials?.watch(minutes(60), watching.signal, ({ expiresAt }) => {
    if (expiresAt !== null) metrics.agentCertificateExpiry.set(expiresAt / 1_000);
  });
  const api = cloudApi(cloudstack.api, clock, log);
  const issuer =
    api && credentials
      ? new CertificateIssuer({
          api,
          keeper: credentials,
          servers: cloudstack.agent.servers,
          addresses: cloudstack.agent.certificateAddresses,
          renewBefore: cloudstack.api.renewBefore,
          clock,
          log,
        })
      : null;
  if (cloudstack.api.renewCertificate) issuer?.start();
  const { interval, spacing, enabled, ...rules } = cloudstack.reconcile;
  const reconciler =
    api &&
    new InstanceReconciler({
      world,
      operations,
      directory: new CloudInstances(api),
      cloud: cloudstack.name,
      settings: {
        ...rules,
        interval: milliseconds(interval / scale),
        spacing: milliseconds(spacing / scale),
      },
    });
  if (enabled) reconciler?.start();
  return {
    credentials,
    reconciler,
    issuer,
    stop: async () => {
      await Promise.all([reconciler?.stop(), issuer?.stop()]);
      watching.abort(new Error('the service stops'));
      await watched;
    },
  };
}

function cloudApi(
  { url, apiKey, secretKey, caFile, timeout }: Config['cloudstack']['api'],
  clock: Clock,
  log: Log,
): ApiClient | null {
  if (!url || !apiKey || !secretKey) return null;
  if (url.startsWith('http:'))
    log.warn({ url }, 'CloudStack is asked without TLS: whoever listens can answer');
  const caPem = caFile === undefined ? undefined : readFileSync(caFile, 'utf8');
  return new ApiClient({ url, apiKey, secretKey, caPem }, clock, { requestTimeout: timeout });
}

function cloudCredentials(
  agent: Config['cloudstack']['agent'],
  stateDir: string,
  clock: Clock,
  log: Log,
): FileCredentials | null {
  if (!agent.enabled) return null;
  const { caFile, clientCertFile, clientKeyFile } = agent;
  // The configuration demands one of them; nobody is trusted because a pin is missing.
  if (!caFile && !agent.trustAll)
    throw new ServiceError({
      code: 'config.invalid',
      what: 'cloudstack.agent names neither caFile nor trustAll',
    });
  return new FileCredentials({
    trust: caFile ? { caFile } : { trustAll: true },
    files:
      clientCertFile && clientKeyFile ? { certificateFile: clientCertFile, keyFile: clientKeyFile } : null,
    provisionedFile: join(stateDir, 'cloudstack-agent.pem'),
    addresses: agent.certificateAddresses,
    warnBefore: agent.certificateWarning,
    clock,
    log,
  });
}
