import { minutes, seconds } from '../../plugin-api/index.ts';
import { adminApp } from '../api/admin/admin-app.ts';
import { ConsoleDoor } from '../api/admin/console-door.ts';
import type { AgentService } from '../api/cloudstack-agent/agent-service.ts';
import type { Config } from '../config/config.ts';
import type { ProvisioningNetwork } from '../drivers/deploy/native/provisioning/provisioning-network.ts';
import { RateLimit } from '../kernel/concurrency/rate-limit.ts';
import { close, listen } from '../kernel/net/web-server.ts';
import type { ImageLibrary } from '../operations/images/image-library.ts';
import type { Pruner } from '../operations/timeline/pruner.ts';
import type { Cloudstack } from './cloudstack.ts';
import { reportMaxAge, type DeviceCare } from './device-care.ts';
import type { Door, Listeners } from './listeners.ts';
import type { Acting } from './operations.ts';
import type { Records } from './records.ts';
import { version } from './version.ts';

export interface AdminDoor extends Door {
  /** Ends the consoles that are open; nothing of them is done by `close`. */
  closeConsoles(): Promise<void>;
}

/** What it shows and does, besides operations and records. */
export interface Administered {
  readonly images: ImageLibrary;
  readonly provisioning: ProvisioningNetwork | null;
  readonly care: DeviceCare;
  readonly agents: AgentService;
  readonly cloudstack: Cloudstack;
  readonly pruner: Pruner;
}

/** For administrators: `csbm`, dashboards, and the consoles of machines. */
export async function openAdminDoor(
  config: Config,
  { world, operations, survey, restore }: Acting,
  { access, keys, users, machines, racks }: Records,
  { images, provisioning, care, agents, cloudstack, pruner }: Administered,
  listeners: Listeners,
): Promise<AdminDoor> {
  const { storage, clock, log, metrics, events, instances, power, ports } = world;
  const { credentials, reconciler, issuer } = cloudstack;
  const { limits } = listeners;
  const app = adminApp({
    access,
    keys,
    users,
    machines,
    operations,
    racks,
    quarantines: care.quarantines,
    images,
    ports,
    survey,
    restore,
    storage,
    instances,
    pruner,
    agents,
    bmcs: { power, reportMaxAge: reportMaxAge(config), polling: (id) => care.poller.status(id) },
    certificate: () => credentials?.status() ?? null,
    cloudstack: { reconciler, issueCertificate: issuer && (() => issuer.issue()) },
    provisioning,
    metrics,
    events,
    clock,
    log,
    version,
    bodyTimeout: config.limits.bodyTimeout,
    bodyBudget: limits.budgets().known,
    requests: new RateLimit(clock, limits.requests),
  });
  // An image of a hundred gigabytes takes its time; and a client must not send into a connection that is just being closed.
  const server = listeners.create('admin', app, {
    requestTimeout: minutes(12 * 60),
    keepAliveTimeout: seconds(65),
  });
  const consoles = new ConsoleDoor({ access, machines, power, clock, log });
  consoles.attach(server);
  return {
    url: await listen(server, config.http.host, config.http.port),
    closeConsoles: () => consoles.close(),
    close: () => close(server),
  };
}
