import { readFileSync } from 'node:fs';
import type { Clock, DeployEngine } from '../plugin-api/index.ts';
import { openAdminDoor, type AdminDoor } from './composition/admin-door.ts';
import { openBootDoor, type BootDoor } from './composition/boot-door.ts';
import { createAgents, linkAgents } from './composition/cloudstack-agent-door.ts';
import { openDirectDoor } from './composition/cloudstack-direct-door.ts';
import { connectCloudstack, type Cloudstack } from './composition/cloudstack.ts';
import { openDatabase } from './composition/database.ts';
import { createPruner, startDeviceCare, type DeviceCare } from './composition/device-care.ts';
import { createDevices, readUpstreams } from './composition/devices.ts';
import { createInstances, shareWork } from './composition/instances.ts';
import { prepareListeners, type Door } from './composition/listeners.ts';
import { openMaasDoor } from './composition/maas-door.ts';
import { createOperations, type Acting } from './composition/operations.ts';
import { createRecords, type Records } from './composition/records.ts';
import { prepareStateFolder } from './composition/state-folder.ts';
import { surroundingsOf } from './composition/surroundings.ts';
import type { Config } from './config/config.ts';
import { scaled } from './config/section/timings.ts';
import { SystemClock } from './kernel/clock/system-clock.ts';
import { orAborted } from './kernel/concurrency/or-aborted.ts';
import { asCodedError, type ServiceError } from './kernel/errors/service-error.ts';
import type { Log } from './kernel/log/log.ts';
import { Metrics } from './kernel/metrics/metrics.ts';
import type { ExecutionHooks } from './operations/journal/execution.ts';
import type { World } from './operations/world.ts';

export interface ServiceOptions {
  readonly config: Config;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Observes the journal at the points where a crash may cut: for crash tests. */
  readonly hooks?: ExecutionHooks;
  /** Deploy engines besides the configured ones: for tests. */
  readonly engines?: readonly DeployEngine[];
  /** Instead of the real one: for tests of clocks that jump. */
  readonly clock?: Clock;
  /** Aborted when the start is to be broken off. */
  readonly signal?: AbortSignal;
}

/** What a start has opened, as far as it came. */
interface Opened {
  joined?: true;
  boot?: BootDoor;
  agents?: ReturnType<typeof createAgents>;
  care?: DeviceCare;
  cloudstack?: Cloudstack;
  direct?: Door | null;
  maas?: Door | null;
  admin?: AdminDoor;
}

export interface Service {
  readonly adminUrl: string;
  readonly bootUrl: string;
  /** Of CloudStack's direct-connect resource; null = not enabled. */
  readonly directUrl: string | null;
  /** Of the MAAS API, without `/MAAS`; null = not enabled. */
  readonly maasUrl: string | null;
  /** File with the first administrator's token, when this start made one. */
  readonly adminTokenFile: string | null;
  /** What the doors act through: for tests that are a door of their own. */
  readonly inside: Pick<World, 'storage'> &
    Pick<Acting, 'operations'> &
    Pick<Records, 'allocations' | 'profiles' | 'pools'>;
  /** Resolves when other instances took this one for dead: nothing can be stored any more, and the process is to end at once. */
  readonly gone: Promise<ServiceError>;
  /** Looks at the files of certificates now, instead of in a while. */
  reload(): void;
  /** Gives its work to the other instances, or leaves it in the journal, and closes everything. */
  stop(): Promise<void>;
}

/**
 * Puts the service together and starts it: storage, drivers, operations, then the doors. A start that fails, or is broken off by
 * `signal`, closes what it has opened.
 * @throws CodedError what failed; the signal's reason
 */
export async function startService({
  config,
  log,
  env,
  hooks,
  engines = [],
  clock = new SystemClock(),
  signal = new AbortController().signal,
}: ServiceOptions): Promise<Service> {
  const base = { config, timings: scaled(config.timings), clock, log, metrics: new Metrics(true) };
  const secrets = { env, readFile: (path: string) => readFileSync(path, 'utf8') };
  // What cannot be used is told before anything is opened.
  const listeners = prepareListeners(base);
  const upstreams = readUpstreams(config, secrets);
  prepareStateFolder(config);

  const storage = await openDatabase(base, signal);
  const instances = createInstances(base, storage);
  const devices = createDevices(base, storage, instances, upstreams, engines);
  const acting = createOperations(base, storage, instances, devices, hooks);
  const { world, operations, survey, restore, farPower, watch } = acting;
  const { images } = devices;
  const pruner = createPruner(config, world);
  const opened: Opened = {};

  const stop = async (): Promise<void> => {
    const { joined, boot, agents, care, cloudstack, direct, maas, admin } = opened;
    listeners.stop();
    if (joined) await instances.drain();
    await operations.drain();
    await Promise.all([agents?.stop(), cloudstack?.stop()]);
    await Promise.all([survey.stop(), restore.stop(), pruner.stop()]);
    await Promise.all([care?.stop(), admin?.closeConsoles()]);
    await boot?.provisioning?.stop();
    await Promise.all([admin?.close(), boot?.close(), direct?.close(), maas?.close()]);
    await images.stop();
    await operations.stop();
    await instances.machines.releaseAll();
    await Promise.all([world.power.close(), world.ports.close()]);
    await watch.settled();
    await world.timeline.close();
    // The last that is stored in its name: that it is gone.
    storage.fenceBy(null);
    if (joined) await instances.leave();
    await storage.close();
    log.info('csbm is down');
  };

  try {
    signal.throwIfAborted();
    await instances.join();
    opened.joined = true;
    storage.fenceBy(instances.id);
    const records = await createRecords(config, world, operations, secrets, listeners.limits.failures);
    const { machines, allocations, profiles, pools, adminTokenFile } = records;
    await images.start();
    signal.throwIfAborted();

    // The boot service must answer before operations go on: machines may be in the middle of an install.
    const boot = (opened.boot = await openBootDoor(config, world, devices, restore, listeners));
    signal.throwIfAborted();
    const agents = (opened.agents = createAgents(config, acting, machines));
    shareWork(world, operations, farPower, agents);
    // Before anything acts: a database that came back older than it was is compared with the devices first.
    await orAborted(restore.begin(), signal);
    instances.lead('reconcile');
    instances.lead('prune');
    await instances.start();
    signal.throwIfAborted();
    const recovered = await operations.recover();
    const care = (opened.care = await startDeviceCare(config, world, machines, watch));
    signal.throwIfAborted();

    const cloudstack = (opened.cloudstack = await connectCloudstack(config, world, operations));
    await linkAgents(config, world, machines, agents, cloudstack.credentials);
    const direct = (opened.direct = await openDirectDoor(config, acting, machines, listeners));
    const maas = (opened.maas = await openMaasDoor(config, acting, records, devices, listeners));
    const { provisioning } = boot;
    const administered = { images, provisioning, care, agents, cloudstack, pruner };
    const admin = (opened.admin = await openAdminDoor(config, acting, records, administered, listeners));
    signal.throwIfAborted();
    provisioning?.start();
    pruner.start();
    listeners.watch();
    acting.surroundings.push(
      ...surroundingsOf(config, acting, listeners, devices.upstreams, boot, agents, cloudstack),
    );
    await instances.announce(admin.url);
    const urls = {
      adminUrl: admin.url,
      bootUrl: boot.url,
      directUrl: direct && direct.url,
      maasUrl: maas && maas.url,
    };
    log.info({ ...urls, recovered, instance: instances.id }, 'csbm is up');
    return {
      ...urls,
      adminTokenFile,
      inside: { storage, operations, allocations, profiles, pools },
      gone: instances.gone,
      reload: () => listeners.look(),
      stop,
    };
  } catch (thrown) {
    await stop().catch((error: unknown) =>
      log.error({ error: asCodedError(error).message }, 'what the start had opened was not closed'),
    );
    throw thrown;
  }
}
