import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { minutes, Secret, seconds, type Duration, type SwitchDriver } from '../plugin-api/index.ts';
import { adminApp } from './api/admin/admin-app.ts';
import { bootApp } from './api/boot/boot-app.ts';
import { createBootServer } from './api/boot/boot-server.ts';
import { AgentOperations } from './api/cloudstack-agent/agent-operations.ts';
import { AgentService } from './api/cloudstack-agent/agent-service.ts';
import { pinFromPem, type CloudEndpoint } from './api/cloudstack-agent/agent-settings.ts';
import { cloudHost } from './api/cloudstack-agent/cloud-hosts.ts';
import type { Config } from './config/config.ts';
import { scaled } from './config/section/timings.ts';
import type { MachineId } from './core/machine/machine.ts';
import { createNativeEngine } from './drivers/deploy/native/native-engine.ts';
import { ProvisioningNetwork } from './drivers/deploy/native/provisioning/provisioning-network.ts';
import {
  bootFiles,
  httpBootPath,
  provisioningSettings,
} from './drivers/deploy/native/provisioning/settings.ts';
import { createIpmiDriver } from './drivers/power/ipmi/ipmi-driver.ts';
import { switchRegistry, switchTypes } from './drivers/switch/registry.ts';
import { SystemClock } from './kernel/clock/system-clock.ts';
import { asCodedError, ServiceError } from './kernel/errors/service-error.ts';
import { EventBus } from './kernel/events/event-bus.ts';
import type { Log } from './kernel/log/log.ts';
import { Metrics } from './kernel/metrics/metrics.ts';
import { Access } from './operations/access.ts';
import { BootConversationService } from './operations/boot/boot-conversations.ts';
import { ImageLibrary } from './operations/images/image-library.ts';
import type { ExecutionHooks } from './operations/journal/execution.ts';
import { Machines } from './operations/machines.ts';
import type { OperationEvents } from './operations/operation-events.ts';
import { Operations } from './operations/operations.ts';
import { PortService } from './operations/ports/port-service.ts';
import { PowerService } from './operations/power/power-service.ts';
import { Racks } from './operations/racks.ts';
import type { World } from './operations/world.ts';
import { openStorage } from './store/open-storage.ts';

/** Version of this service, as it shows itself. */
export const version = '0.1.0';

export interface ServiceOptions {
  readonly config: Config;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Observes the journal at the points where a crash may cut: for crash tests. */
  readonly hooks?: ExecutionHooks;
}

export interface Service {
  readonly adminUrl: string;
  readonly bootUrl: string;
  /** File with the first administrator's token, when this start made one. */
  readonly adminTokenFile: string | null;
  /** Stops taking commands, leaves operations in the journal, closes everything. */
  stop(): Promise<void>;
}

/** Puts the service together and starts it: storage, drivers, operations, then the doors. */
export async function startService({ config, log, env, hooks }: ServiceOptions): Promise<Service> {
  const clock = new SystemClock();
  const timings = scaled(config.timings);
  const metrics = new Metrics(true);
  const secrets = { env, readFile: (path: string) => readFileSync(path, 'utf8') };
  const storage = await openStorage({
    type: 'sqlite',
    file: config.store.file,
    key: config.secrets.key ? { base64: config.secrets.key } : { file: config.secrets.keyFile },
    clock,
    log,
  });

  // Drivers: the only way to act on the world.
  const context = {
    clock,
    log: (
      level: 'debug' | 'info' | 'warn' | 'error',
      message: string,
      fields?: Readonly<Record<string, unknown>>,
    ) => log[level](fields ?? {}, message),
  };
  const ipmi = createIpmiDriver(context, config.power.settings);
  const switchDrivers: ReadonlyMap<string, SwitchDriver> = new Map(
    [...switchRegistry].map(([type, { create }]) => [type, create(context, config.switch.settings[type])]),
  );

  const events = new EventBus<OperationEvents>();
  const images = new ImageLibrary({ storage, folder: config.provisioning.imageDir, clock, log });
  const boots = new BootConversationService({
    storage,
    clock,
    log,
    newcomers: { site: 'default', pool: 'default' },
  });
  const native = createNativeEngine(
    { ...context, conversations: boots, imageCatalogue: images },
    config.provisioning.settings,
  );
  const engines = new Map([[native.type, native]]);
  const world: World = {
    storage,
    clock,
    timings,
    log,
    metrics,
    events,
    boots,
    power: new PowerService(new Map([[ipmi.type, ipmi]]), storage, clock, timings),
    ports: new PortService(switchDrivers, { storage, clock, timings, log, metrics }),
    engine: (type) => {
      const engine = engines.get(type);
      if (engine) return engine;
      throw new ServiceError({ code: 'config.invalid', what: `there is no deploy engine "${type}"` });
    },
  };

  const operations = new Operations(world, {
    owner: `${hostname()}/${process.pid}/${randomBytes(4).toString('hex')}`,
    defaultGrade: config.erase.defaultGrade,
    ...(hooks && { hooks }),
  });
  const machines = new Machines(world);
  const racks = new Racks(storage, switchTypes, secrets);
  const access = new Access(storage, clock);
  const adminTokenFile = await access.ensureFirstAdmin(config.admin.token ?? null, config.admin.tokenFile);
  await images.start();

  // The boot service must answer before operations go on: machines may be in the middle of an install.
  const bootFront = express();
  const bootServer = createBootServer(bootFront);
  const bootUrl = config.boot.publicUrl ?? (await listen(bootServer, config.boot.host, config.boot.port));
  if (config.boot.publicUrl) await listen(bootServer, config.boot.host, config.boot.port);
  // DHCP and TFTP for the machines, where it is not somebody else's; UEFI may ask for the boot file over HTTP too.
  const { network } = config.provisioning;
  const served = network.enabled ? provisioningSettings(network, config.stateDir, bootUrl) : null;
  const provisioning = served && new ProvisioningNetwork({ context, settings: served });
  if (served)
    bootFront.get(httpBootPath, (_req, res) =>
      res.sendFile(bootFiles.efi64, { root: served.tftpDir }, (error: Error | undefined) => {
        if (error && !res.headersSent) res.status(404).end();
      }),
    );
  bootFront.use(
    bootApp({
      conversations: boots,
      images,
      ramdiskDir: join(config.stateDir, 'ramdisk'),
      publicUrl: bootUrl,
      log,
    }),
  );
  const recovered = await operations.recover();

  // CloudStack's door: one link per machine.
  const agents = new AgentService({
    clock,
    log,
    commands: new AgentOperations({
      operations,
      machines,
      cloud: config.cloudstack.name,
      destroyPatience: timings.destroyDeadline,
    }),
    powerReport: (id) => machines.powerReport(id as MachineId),
    saveHostId: (id, hostId) => machines.saveHostId(id as MachineId, hostId.toString()),
    settings: agentPace(config.timings.scale),
  });
  const endpoint = cloudEndpoint(config);
  /** Brings a machine's link in line with what the machine is now: a host once it is commissioned, none once it is forgotten. */
  const link = async (id: MachineId): Promise<void> => {
    const machine = await storage.run((tx) => tx.machines.find(id));
    const mine = machine?.cloudPlace?.cloud === config.cloudstack.name;
    const host = machine && mine && endpoint ? cloudHost(machine, endpoint, version) : null;
    if (host) await agents.add(host);
    else await agents.remove(id);
  };
  const relink = (id: MachineId): void => {
    link(id).catch((thrown: unknown) =>
      log.error({ machine: id, error: asCodedError(thrown).message }, 'agent link not made'),
    );
  };
  for (const machine of await machines.list()) await link(machine.id);
  events.on('machine', ({ machineId }) => relink(machineId));
  events.on('operation', (operation) => {
    if (operation.kind === 'commission' && operation.state === 'done') relink(operation.machineId);
  });

  const admin = adminApp({
    access,
    machines,
    operations,
    racks,
    images,
    ports: world.ports,
    storage,
    agents,
    provisioning,
    metrics,
    events,
    clock,
    log,
    version,
  });
  // An image of a hundred gigabytes takes its time; and a client must not send into a connection that is just being closed.
  const adminServer = createBootServer(admin, {
    requestTimeout: minutes(12 * 60),
    keepAliveTimeout: seconds(65),
  });
  const adminUrl = await listen(adminServer, config.http.host, config.http.port);
  provisioning?.start();
  log.info({ adminUrl, bootUrl, recovered }, 'csbm is up');

  return {
    adminUrl,
    bootUrl,
    adminTokenFile,
    stop: async () => {
      await agents.stop();
      await provisioning?.stop();
      await Promise.all([close(adminServer), close(bootServer)]);
      await operations.stop();
      await Promise.all([world.power.close(), world.ports.close()]);
      await storage.close();
      log.info('csbm is down');
    },
  };
}

function cloudEndpoint(config: Config): CloudEndpoint | null {
  const { agent } = config.cloudstack;
  if (!agent.enabled) return null;
  const read = (path: string): string => readFileSync(path, 'utf8');
  const identity =
    agent.clientCertFile && agent.clientKeyFile
      ? {
          identity: {
            certificatePem: read(agent.clientCertFile),
            keyPem: new Secret(read(agent.clientKeyFile)),
          },
        }
      : {};
  return {
    servers: agent.servers,
    trust: agent.caFile ? { pin: pinFromPem(read(agent.caFile)) } : { trustAll: true },
    ...identity,
  };
}

/** A floor that runs faster than life has a management server that does too. */
function agentPace(scale: number): { readonly reconnectMin: Duration; readonly reconnectMax: Duration } {
  return { reconnectMin: (5_000 / scale) as Duration, reconnectMax: (60_000 / scale) as Duration };
}

async function listen(server: Server, host: string, port: number): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'somebody else listens there' : (cause.code ?? cause.message);
      reject(
        new ServiceError({ code: 'config.invalid', what: `cannot listen on ${host}:${port}: ${why}`, cause }),
      );
    });
    server.listen(port, host, resolve);
  });
  const { address, port: bound, family } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}`;
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
