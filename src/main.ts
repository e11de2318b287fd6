import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import express from 'express';
import {
  milliseconds,
  minutes,
  seconds,
  type Clock,
  type DeployEngine,
  type ImageCatalogue,
  type SwitchDriver,
} from '../plugin-api/index.ts';
import { adminApp } from './api/admin/admin-app.ts';
import { ConsoleDoor } from './api/admin/console-door.ts';
import { bootApp } from './api/boot/boot-app.ts';
import { firstScript, laterScript } from './api/boot/ipxe-scripts.ts';
import { startFileSender } from './api/boot/file-sender.ts';
import { AgentOperations } from './api/cloudstack-agent/agent-operations.ts';
import { AgentService } from './api/cloudstack-agent/agent-service.ts';
import { defaultAgentSettings, type AgentSettings } from './api/cloudstack-agent/agent-settings.ts';
import { FileCredentials } from './api/cloudstack-agent/cloud-credentials.ts';
import { cloudHost, forgetPlace, hostFacts, hostIdOf } from './api/cloudstack-agent/cloud-hosts.ts';
import { executeCommand } from './api/cloudstack-agent/command-table.ts';
import { ApiClient } from './api/cloudstack-api/api-client.ts';
import { CertificateIssuer } from './api/cloudstack-api/certificate-issuer.ts';
import { CloudInstances } from './api/cloudstack-api/cloud-instances.ts';
import { directApp } from './api/cloudstack-direct/direct-app.ts';
import { HostIndex } from './api/cloudstack-direct/host-index.ts';
import { closedDoor } from './api/maas/closed-door.ts';
import { maasDoor } from './api/maas/maas-door.ts';
import type { Config } from './config/config.ts';
import { listenerLimits } from './config/listener-limits.ts';
import { scaled } from './config/section/timings.ts';
import type { MachineId } from './core/machine/machine.ts';
import type { Storage } from './core/storage/storage.ts';
import { createMaasEngine } from './drivers/deploy/maas/maas-engine.ts';
import { maasSettings } from './drivers/deploy/maas/maas-settings.ts';
import { createNativeEngine } from './drivers/deploy/native/native-engine.ts';
import { noCloudFiles } from './drivers/deploy/native/nocloud.ts';
import { ProvisioningNetwork } from './drivers/deploy/native/provisioning/provisioning-network.ts';
import {
  bootFiles,
  httpBootPath,
  provisioningSettings,
} from './drivers/deploy/native/provisioning/settings.ts';
import { createIpmiDriver } from './drivers/power/ipmi/ipmi-driver.ts';
import { switchRegistry, switchTypes } from './drivers/switch/registry.ts';
import { SystemClock } from './kernel/clock/system-clock.ts';
import { RateLimit } from './kernel/concurrency/rate-limit.ts';
import { asCodedError, ServiceError } from './kernel/errors/service-error.ts';
import { EventBus } from './kernel/events/event-bus.ts';
import type { Log } from './kernel/log/log.ts';
import { newSortableId } from './kernel/ids/ids.ts';
import { Metrics } from './kernel/metrics/metrics.ts';
import { TlsFiles } from './kernel/net/tls-files.ts';
import { close, createWebServer, listen, type WebServerOptions } from './kernel/net/web-server.ts';
import { Access } from './operations/access.ts';
import { Allocations } from './operations/allocations.ts';
import { ApiKeys } from './operations/api-keys.ts';
import { BootConversationService } from './operations/boot/boot-conversations.ts';
import { ensureDefaultRecords } from './operations/default-records.ts';
import { imageFileFault } from './operations/image-file-fault.ts';
import { ImageLibrary } from './operations/images/image-library.ts';
import { Instances } from './operations/instances/instances.ts';
import type { ExecutionHooks } from './operations/journal/execution.ts';
import { Machines } from './operations/machines.ts';
import type { OperationEvents } from './operations/operation-events.ts';
import { ensureNetworks, networkOf } from './operations/networks.ts';
import { Operations } from './operations/operations.ts';
import { StoredOrderNotes } from './operations/order-notes.ts';
import { Pools } from './operations/pools.ts';
import { Profiles } from './operations/profiles.ts';
import { PortService } from './operations/ports/port-service.ts';
import { FarPower } from './operations/power/far-power.ts';
import { PowerPoller, pollSettings } from './operations/power/power-poller.ts';
import { PowerService } from './operations/power/power-service.ts';
import { DeviceChecks } from './operations/quarantine/device-checks.ts';
import { DeviceWatch } from './operations/quarantine/device-watch.ts';
import { scaledQuarantine } from './operations/quarantine/quarantine-settings.ts';
import { Quarantines } from './operations/quarantine/quarantines.ts';
import { Racks } from './operations/racks.ts';
import { InstanceReconciler } from './operations/reconcile/instance-reconciler.ts';
import { EventNotes } from './operations/timeline/event-notes.ts';
import { Pruner } from './operations/timeline/pruner.ts';
import { Users } from './operations/users.ts';
import { HistoryFile } from './operations/restore/history-file.ts';
import { defaultLookInterval, RestoreMode } from './operations/restore/restore-mode.ts';
import { Survey } from './operations/survey/survey.ts';
import {
  bootServiceCheck,
  cloudApiCheck,
  cloudCertificateCheck,
  databaseCheck,
  diskCheck,
  engineCheck,
  keyFileCheck,
  linksCheck,
  listenerCheck,
  provisioningCheck,
  restoreCheck,
  type SurroundingsCheck,
} from './operations/survey/surroundings.ts';
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
  /** Deploy engines besides the configured ones: for tests. */
  readonly engines?: readonly DeployEngine[];
  /** Instead of the real one: for tests of clocks that jump. */
  readonly clock?: Clock;
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
  readonly inside: {
    readonly storage: Storage;
    readonly operations: Operations;
    readonly allocations: Allocations;
    readonly profiles: Profiles;
    readonly pools: Pools;
  };
  /** Resolves when other instances took this one for dead: nothing can be stored any more, and the process is to end at once. */
  readonly gone: Promise<ServiceError>;
  /** Looks at the files of certificates now, instead of in a while. */
  reload(): void;
  /** Gives its work to the other instances, or leaves it in the journal, and closes everything. */
  stop(): Promise<void>;
}

/** Puts the service together and starts it: storage, drivers, operations, then the doors. */
export async function startService({
  config,
  log,
  env,
  hooks,
  engines: more = [],
  clock = new SystemClock(),
}: ServiceOptions): Promise<Service> {
  const timings = scaled(config.timings);
  const metrics = new Metrics(true);
  const limits = listenerLimits(config.limits);
  const limitsOf = (listener: string): WebServerOptions => ({
    ...limits.server,
    onRefusal: (reason) => metrics.refused.inc({ listener, reason }),
  });
  const secrets = { env, readFile: (path: string) => readFileSync(path, 'utf8') };
  /** The certificate of a listener, or null for plain HTTP. */
  const tlsFiles: TlsFiles[] = [];
  const tlsOf = ({ certFile, keyFile }: Config['http']['tls']): TlsFiles | null => {
    if (certFile === undefined || keyFile === undefined) return null;
    const files = new TlsFiles({ certFile, keyFile, clock, log, interval: timings.tlsCheck });
    tlsFiles.push(files);
    return files;
  };
  // What cannot be used is told before anything is opened.
  const bootTls = tlsOf(config.boot.tls);
  const adminTls = tlsOf(config.http.tls);
  const directTls = tlsOf(config.cloudstack.direct.tls);
  const maasTls = tlsOf(config.maas.tls);
  const upstreams = Object.entries(config.deploy.maas).map(
    ([name, settings]) => [name, maasSettings(name, settings, secrets)] as const,
  );

  const storage = await openStorage({
    ...databaseOf(config),
    key: config.secrets.key ? { base64: config.secrets.key } : { file: config.secrets.keyFile },
    clock,
    log,
  });
  const instances = new Instances({
    storage,
    clock,
    timings,
    log,
    id: newSortableId('in', clock.now()),
    name: `${hostname()}/${process.pid}`,
    version,
    shared: storage.shared,
  });

  // Drivers: the only way to act on the world.
  const context = {
    clock,
    mayChange: () => instances.assertCurrent(),
    log: (
      level: 'debug' | 'info' | 'warn' | 'error',
      message: string,
      fields?: Readonly<Record<string, unknown>>,
    ) => log[level](fields ?? {}, message),
  };
  // Every BMC is read again and again: a session that is kept costs it less than one that is set up each time.
  const ipmi = createIpmiDriver(context, { idle: 'keep-alive', ...config.power.settings });
  const switchDrivers: ReadonlyMap<string, SwitchDriver> = new Map(
    [...switchRegistry].map(([type, { create }]) => [type, create(context, config.switch.settings[type])]),
  );

  const events = new EventBus<OperationEvents>();
  const { qemuImg, timeout, maxRawGiB } = config.provisioning.conversion;
  const images = new ImageLibrary({
    storage,
    folder: config.provisioning.imageDir,
    clock,
    log,
    conversion: { qemuImg, timeout, maxRawBytes: maxRawGiB * 1024 ** 3 },
  });
  const boots = new BootConversationService({
    storage,
    clock,
    log,
    newcomers: { site: 'default', pool: 'default' },
  });
  const imageCatalogue: ImageCatalogue = {
    find: (name) => images.find(name),
    list: () => images.list(),
    fault: (name) => imageFileFault(images, name),
  };
  const native = createNativeEngine(
    { ...context, conversations: boots, imageCatalogue },
    config.provisioning.settings,
  );
  const maasHost = { ...context, notes: new StoredOrderNotes(storage), firstBootFiles: noCloudFiles };
  const maasEngines = upstreams.map(([name, settings]) =>
    createMaasEngine(maasHost, settings, name === 'default' ? 'maas' : `maas:${name}`),
  );
  const engines = new Map(
    [native, ...maasEngines, ...more].map((engine): [string, DeployEngine] => [engine.type, engine]),
  );
  const timeline = new EventNotes({ storage, clock, log, metrics });
  const quarantineRules = scaledQuarantine(config.quarantine, config.timings.scale);
  const watch = new DeviceWatch({ storage, clock, log, metrics, settings: quarantineRules });
  const farPower = new FarPower({
    storage,
    clock,
    instances,
    patience: milliseconds(2 * timings.leaseTtl),
    read: (machine, signal) => world.power.look(machine, signal),
  });
  const world: World = {
    storage,
    clock,
    timings,
    instances,
    log,
    metrics,
    events,
    timeline,
    boots,
    power: new PowerService({
      far: farPower,
      drivers: new Map([[ipmi.type, ipmi]]),
      storage,
      clock,
      timings,
      log,
      events,
      makeWay: milliseconds(500),
      watch,
      timeline,
      mayWrite: () => restore.refuse(),
    }),
    ports: new PortService(switchDrivers, {
      storage,
      clock,
      timings,
      instances,
      log,
      metrics,
      watch,
      mayWrite: () => restore.refuse(),
    }),
    engine: (type) => {
      const engine = engines.get(type);
      if (engine) return engine;
      throw new ServiceError({ code: 'config.invalid', what: `there is no deploy engine "${type}"` });
    },
  };

  // What a survey looks at besides machines and switches: added as it is put together.
  const surroundings: SurroundingsCheck[] = [];
  const survey = new Survey({
    storage,
    clock,
    timings,
    reader: {
      power: async (machine, signal) => {
        try {
          return await world.power.look(machine, signal);
        } finally {
          // A session is kept only by the one whose machine it is.
          if (!instances.machines.holds(machine.id)) await world.power.release(machine.id);
        }
      },
      ports: (name, ports) => world.ports.read(name, ports),
    },
    limits: config.survey,
    checks: surroundings,
  });
  const restore: RestoreMode = new RestoreMode({
    storage,
    clock,
    log,
    metrics,
    events,
    boots,
    survey,
    file: new HistoryFile(join(config.stateDir, 'history')),
    lookInterval: defaultLookInterval,
  });
  const operations = new Operations(world, {
    defaultGrade: config.erase.defaultGrade,
    restore,
    ...(hooks && { hooks }),
  });
  await instances.join();
  storage.fenceBy(instances.id);
  const machines = new Machines(world);
  const { address } = config.provisioning.network;
  const addresses = address ? { cidr: networkOf(address) } : null;
  const racks = new Racks(storage, switchTypes, secrets, addresses);
  await storage.run(async (tx) => {
    await ensureNetworks(tx, addresses);
    await ensureDefaultRecords(tx);
  });
  const access = new Access(storage, clock, limits.failures);
  const users = new Users(storage, clock, access, limits.failures);
  const keys = new ApiKeys(storage, clock);
  const pools = new Pools(storage);
  const profiles = new Profiles(storage);
  const allocations = new Allocations(world, operations, pools);
  const adminTokenFile = await access.ensureFirstAdmin(config.admin.token ?? null, config.admin.tokenFile);
  await images.start();

  // The boot service must answer before operations go on: machines may be in the middle of an install.
  const bootFront = express();
  // It listens before it can answer, to know its address; and what a machine may boot is not known before the restore is over.
  // Who asks meanwhile asks again: a refusal would end an install that is under way.
  let bootReady = false;
  bootFront.use((req, res, next) => {
    const forMachines = req.path === '/boot.ipxe' || req.path.startsWith('/boot/v1/');
    if (bootReady && !(forMachines && restore.closed)) next();
    else if (req.path === '/boot.ipxe' || req.path === '/boot/v1/script')
      res.type('text/plain').send(laterScript(bootUrl));
    else res.status(503).set('retry-after', '5').end();
  });
  const bootServer = createWebServer(bootFront, { ...limitsOf('boot'), tls: bootTls });
  const bootUrl = config.boot.publicUrl ?? (await listen(bootServer, config.boot.host, config.boot.port));
  if (config.boot.publicUrl) await listen(bootServer, config.boot.host, config.boot.port);
  // DHCP and TFTP for the machines, where it is not somebody else's; UEFI may ask for the boot file over HTTP too.
  const { network } = config.provisioning;
  const served = network.enabled ? provisioningSettings(network, config.stateDir, bootUrl) : null;
  const provisioning =
    served &&
    new ProvisioningNetwork({ context, settings: served, firstScript: firstScript(served.bootUrl) });
  if (served)
    bootFront.get(httpBootPath, (_req, res) =>
      res.sendFile(bootFiles.efi64, { root: served.tftpDir }, (error: Error | undefined) => {
        if (error && !res.headersSent) res.status(404).end();
      }),
    );
  // Under TLS the kernel cannot send the bytes of a file as they are.
  const sender = config.boot.sendfile && bootTls === null ? await startFileSender(log) : null;
  bootFront.use(
    bootApp({
      conversations: boots,
      images,
      ramdiskDir: join(config.stateDir, 'ramdisk'),
      publicUrl: bootUrl,
      kernelArguments: `${config.boot.kernelArguments ?? ''} csbm.lldp=${config.boot.lldp / 1_000}`.trim(),
      sender,
      log,
      asking: { clock, limit: limits.boots },
      bodyBudget: limits.budgets().known,
      bodyTimeout: config.limits.bodyTimeout,
    }),
  );
  bootReady = true;
  instances.machines.setTenant({
    gained: (ids, left) => {
      operations.gained(ids, left);
      for (const machineId of ids) events.emit('lease', { machineId });
    },
    leaving: async (id) => {
      await agents.remove(id);
      await world.power.release(id);
    },
    kept: (machineId) => events.emit('lease', { machineId }),
  });
  instances.onLook(async () => {
    await operations.look();
    const waiting = await storage.run((tx) => tx.deviceRequests.waiting());
    await world.ports.look(waiting);
    await farPower.look(waiting);
    for (const machineId of await instances.machines.noted()) events.emit('machine', { machineId });
  });
  events.on('machine', ({ machineId }) => {
    instances.machines.changed(machineId).then(
      (free) => free && instances.wake(),
      (thrown: unknown) =>
        log.error({ machine: machineId, error: asCodedError(thrown).message }, 'the holder was not told'),
    );
  });
  // Before anything acts: a database that came back older than it was is compared with the devices first.
  await restore.begin();
  instances.lead('reconcile');
  instances.lead('prune');
  await instances.start();
  const recovered = await operations.recover();

  const poller = new PowerPoller({
    storage,
    clock,
    log,
    metrics,
    events,
    watch,
    read: (machine, signal) => world.power.poll(machine, signal),
    holds: (id) => instances.machines.keeps(id),
    settings: pollSettings(milliseconds(config.power.pollInterval / config.timings.scale)),
  });
  world.power.onReached((id) => poller.answered(id));
  await poller.start();
  const deviceChecks = new DeviceChecks({
    storage,
    clock,
    log,
    ports: world.ports,
    watch,
    settings: quarantineRules,
  });
  deviceChecks.start();
  const quarantines = new Quarantines({
    world,
    machines,
    switchTypes,
    onLifted: (subject) => {
      watch.forgive(subject);
      if (subject.kind === 'bmc') poller.answered(subject.name as MachineId);
    },
  });

  // CloudStack's door: one link per machine.
  const reportMaxAge = milliseconds(config.power.reportMaxAge / config.timings.scale);
  const agents = new AgentService({
    clock,
    log,
    commands: new AgentOperations({
      operations,
      timeline,
      clock,
      machines,
      cloud: config.cloudstack.name,
      destroyPatience: timings.destroyDeadline,
    }),
    powerReport: async (id) =>
      restore.closed ? null : machines.observedPowerReport(id as MachineId, reportMaxAge),
    saveHostId: (id, hostId) => machines.saveHostId(id as MachineId, hostId.toString()),
    forgetPlace: async (id) => {
      const code = await forgetPlace(storage, clock, id as MachineId);
      metrics.alarms.inc({ code });
      events.emit('machine', { machineId: id as MachineId });
    },
    pings: {
      sent: () => metrics.agentPings.inc(),
      answered: (took) => metrics.agentPingSeconds.observe(took / 1_000),
    },
    settings: agentPace(config.timings.scale),
  });
  events.on('power', ({ machineId }) => {
    metrics.powerOutOfBand.inc();
    agents.reportNow(machineId);
  });
  const credentials = cloudCredentials(config, clock, log);
  const endpoint = credentials && { servers: config.cloudstack.agent.servers, credentials };
  // What cannot be used at all is told at the start, not at the first connection.
  await credentials?.current();
  const watching = new AbortController();
  const watched = credentials?.watch(minutes(60), watching.signal, ({ expiresAt }) => {
    if (expiresAt !== null) metrics.agentCertificateExpiry.set(expiresAt / 1_000);
  });
  // CloudStack's HTTP API, which we call: for what no command tells us.
  const api = cloudApi(config, clock, log);
  const issuer =
    api && credentials
      ? new CertificateIssuer({
          api,
          keeper: credentials,
          servers: config.cloudstack.agent.servers,
          addresses: config.cloudstack.agent.certificateAddresses,
          renewBefore: config.cloudstack.api.renewBefore,
          clock,
          log,
        })
      : null;
  if (config.cloudstack.api.renewCertificate) issuer?.start();
  const { interval, spacing, ...reconcileRules } = config.cloudstack.reconcile;
  const reconciler =
    api &&
    new InstanceReconciler({
      world,
      operations,
      directory: new CloudInstances(api),
      cloud: config.cloudstack.name,
      settings: {
        ...reconcileRules,
        interval: milliseconds(interval / config.timings.scale),
        spacing: milliseconds(spacing / config.timings.scale),
      },
    });
  if (config.cloudstack.reconcile.enabled) reconciler?.start();

  /** Brings a machine's link in line with what the machine is now: a host once it is commissioned, none once it is forgotten. */
  const link = async (id: MachineId): Promise<void> => {
    const machine = await storage.run((tx) => tx.machines.find(id));
    const mine = machine?.cloudPlace?.cloud === config.cloudstack.name;
    const host =
      machine && mine && endpoint && instances.machines.keeps(id)
        ? cloudHost(machine, endpoint, version)
        : null;
    if (host) await agents.add(host);
    else await agents.remove(id);
  };
  const relink = (id: MachineId): void => {
    link(id).catch((thrown: unknown) =>
      log.error({ machine: id, error: asCodedError(thrown).message }, 'agent link not made'),
    );
  };
  events.on('lease', ({ machineId }) => relink(machineId));
  for (const machine of await machines.list())
    if (instances.machines.holds(machine.id)) await link(machine.id);
  instances.watch();
  events.on('machine', ({ machineId }) => relink(machineId));
  events.on('operation', (operation) => {
    if (operation.kind === 'commission' && operation.state === 'done') relink(operation.machineId);
  });

  // The same commands over HTTP, from a direct-connect resource inside the management server.
  const { direct } = config.cloudstack;
  const directHosts = new HostIndex({
    machines: () => machines.list(),
    cloud: config.cloudstack.name,
    clock,
    maxAge: seconds(30),
  });
  events.on('machine', () => directHosts.invalidate());
  const directCommands = new AgentOperations({
    operations,
    timeline,
    clock,
    machines,
    cloud: config.cloudstack.name,
    door: 'cloudstack-direct',
    destroyPatience: timings.destroyDeadline,
  });
  const directServer =
    direct.enabled && direct.token
      ? createWebServer(
          directApp({
            token: direct.token,
            host: async (name) => {
              const id = await directHosts.find(name);
              const machine = id && (await storage.run((tx) => tx.machines.find(id)));
              if (!machine) return null;
              const { hostname } = machine;
              const facts = hostFacts(machine, version);
              return { machineId: machine.id, hostname, hostId: hostIdOf(machine), facts };
            },
            execute: (id, entry) => executeCommand(id, entry, directCommands, log),
            power: async (id) => {
              if (restore.closed) return { report: null };
              const busy = await storage.run((tx) => tx.journal.active(id as MachineId));
              if (farPower.has(id as MachineId)) {
                const report = await machines.powerReport(id as MachineId);
                return busy || report ? { report } : null;
              }
              if (!busy && !world.power.observed(id as MachineId, reportMaxAge)) return null;
              return { report: await machines.observedPowerReport(id as MachineId, reportMaxAge) };
            },
            clock,
            log,
            failures: limits.failures,
            bodyBudget: limits.budgets().known,
            settings: { bodyTimeout: config.limits.bodyTimeout },
          }),
          { ...limitsOf('direct'), tls: directTls, keepAliveTimeout: seconds(65) },
        )
      : null;
  const directUrl = directServer && (await listen(directServer, direct.host, direct.port));

  // MAAS's clients: people and programs that allocate machines for themselves.
  const maasServer = config.maas.enabled
    ? createWebServer(
        closedDoor(
          () => restore.refuse(),
          maasDoor(
            {
              storage,
              operations,
              machines,
              allocations,
              pools,
              keys,
              users,
              images,
              power: world.power,
              engines,
              clock,
              log,
              settings: config.maas,
            },
            {
              failures: limits.failures,
              requests: new RateLimit(clock, limits.requests),
              budgets: limits.budgets(),
              limits: { bodyTimeout: config.limits.bodyTimeout },
            },
          ),
        ),
        { ...limitsOf('maas'), tls: maasTls, keepAliveTimeout: seconds(65) },
      )
    : null;
  const maasUrl = maasServer && (await listen(maasServer, config.maas.host, config.maas.port));

  const { interval: pruneInterval, ...retention } = config.retention;
  const pruner = new Pruner({
    storage,
    clock,
    log,
    metrics,
    retention,
    interval: pruneInterval,
    mayRun: () => instances.leads('prune'),
  });
  const admin = adminApp({
    access,
    keys,
    users,
    machines,
    operations,
    racks,
    quarantines,
    images,
    ports: world.ports,
    survey,
    restore,
    storage,
    instances,
    pruner,
    agents,
    bmcs: { power: world.power, reportMaxAge, polling: (id) => poller.status(id) },
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
  const adminServer = createWebServer(admin, {
    ...limitsOf('admin'),
    tls: adminTls,
    requestTimeout: minutes(12 * 60),
    keepAliveTimeout: seconds(65),
  });
  const consoles = new ConsoleDoor({ access, machines, power: world.power, log });
  consoles.attach(adminServer);
  const adminUrl = await listen(adminServer, config.http.host, config.http.port);
  provisioning?.start();
  pruner.start();
  for (const files of tlsFiles) files.watch();
  const { certificateWarning, freeDisk, slowDatabase } = config.survey;
  const listeners = { admin: adminTls, boot: bootTls, direct: directTls, maas: maasTls };
  surroundings.push(
    restoreCheck(() => restore.report()),
    databaseCheck(storage, clock, slowDatabase),
    diskCheck(
      [
        config.stateDir,
        config.provisioning.imageDir,
        ...(config.store.type === 'sqlite' ? [dirname(config.store.file)] : []),
      ],
      { percent: freeDisk, bytes: 5 * 1024 ** 3 },
    ),
    ...(config.secrets.key ? [] : [keyFileCheck(config.secrets.keyFile)]),
    ...Object.entries(listeners).flatMap(([name, files]) =>
      files
        ? [listenerCheck(`the listener ${name}`, () => files.material.cert, clock, certificateWarning)]
        : [],
    ),
    linksCheck(() => agents.statuses(), clock, config.survey.checkTimeout),
    ...(credentials ? [cloudCertificateCheck(() => credentials.status())] : []),
    ...(reconciler ? [cloudApiCheck(() => reconciler.last)] : []),
    ...(provisioning ? [provisioningCheck(() => provisioning.status)] : []),
    bootServiceCheck(bootUrl),
    ...maasEngines.map(engineCheck),
  );
  await instances.announce(adminUrl);
  log.info({ adminUrl, bootUrl, directUrl, maasUrl, recovered, instance: instances.id }, 'csbm is up');

  return {
    adminUrl,
    bootUrl,
    directUrl,
    maasUrl,
    adminTokenFile,
    inside: { storage, operations, allocations, profiles, pools },
    gone: instances.gone,
    reload: () => {
      for (const files of tlsFiles) files.look();
    },
    stop: async () => {
      for (const files of tlsFiles) files.stop();
      await instances.drain();
      await operations.drain();
      await Promise.all([agents.stop(), reconciler?.stop(), issuer?.stop()]);
      watching.abort(new Error('the service stops'));
      await watched;
      await Promise.all([survey.stop(), restore.stop(), pruner.stop()]);
      await Promise.all([poller.stop(), deviceChecks.stop(), consoles.close()]);
      await provisioning?.stop();
      await Promise.all([
        close(adminServer),
        close(bootServer),
        directServer && close(directServer),
        maasServer && close(maasServer),
      ]);
      await sender?.close();
      await images.stop();
      await operations.stop();
      await instances.machines.releaseAll();
      await Promise.all([world.power.close(), world.ports.close()]);
      await watch.settled();
      await timeline.close();
      // The last that is stored in its name: that it is gone.
      storage.fenceBy(null);
      await instances.leave();
      await storage.close();
      log.info('csbm is down');
    },
  };
}

function databaseOf({ store: { type, file, mariadb }, timings }: Config) {
  if (type === 'sqlite') return { type, file } as const;
  const { socket, host, port, tls, ...settings } = mariadb;
  const place = socket === undefined ? { host, port, tls: tls.enabled ? tls : null } : { socket };
  // A process that froze holds up nobody any more by the time it is declared gone.
  // Not below what a busy machine may keep a living process waiting, however fast the floor runs.
  const idleTransaction = milliseconds(Math.max(5_000, (timings.leaseTtl / timings.scale) * 0.6));
  return { type, place, idleTransaction, ...settings } as const;
}

function cloudApi(config: Config, clock: Clock, log: Log): ApiClient | null {
  const { url, apiKey, secretKey, caFile, timeout } = config.cloudstack.api;
  if (!url || !apiKey || !secretKey) return null;
  if (url.startsWith('http:'))
    log.warn({ url }, 'CloudStack is asked without TLS: whoever listens can answer');
  const caPem = caFile === undefined ? undefined : readFileSync(caFile, 'utf8');
  return new ApiClient({ url, apiKey, secretKey, caPem }, clock, { requestTimeout: timeout });
}

function cloudCredentials(config: Config, clock: Clock, log: Log): FileCredentials | null {
  const { agent } = config.cloudstack;
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
    provisionedFile: join(config.stateDir, 'cloudstack-agent.pem'),
    addresses: agent.certificateAddresses,
    warnBefore: agent.certificateWarning,
    clock,
    log,
  });
}

/** A floor that runs faster than life has a management server that does too. */
function agentPace(scale: number): Pick<AgentSettings, 'reconnectMin' | 'reconnectMax' | 'moveDelay'> {
  const { reconnectMin, reconnectMax, moveDelay } = defaultAgentSettings;
  return {
    reconnectMin: milliseconds(reconnectMin / scale),
    reconnectMax: milliseconds(reconnectMax / scale),
    moveDelay: milliseconds(moveDelay / scale),
  };
}
