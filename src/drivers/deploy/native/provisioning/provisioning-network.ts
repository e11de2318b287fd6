import { mkdir, rm, writeFile } from 'node:fs/promises';
import { CodedError, seconds, type DeviceContext, type Duration } from '../../../../../plugin-api/index.ts';
import {
  advertisementCheck,
  bootFileCheck,
  bootUrlCheck,
  findInterface,
  findProgram,
  interfaceCheck,
  portCheck,
  programChecks,
  readRights,
  rightsCheck,
  type Check,
  type Rights,
} from './checks.ts';
import { dnsmasqConfig } from './dnsmasq-config.ts';
import { lineLevel, startDnsmasq, type DnsmasqProcess } from './dnsmasq-process.ts';
import { readHostNetwork, type HostNetwork } from './host-network.ts';
import { readLeases, type Lease } from './leases.ts';
import { endProcess, findProcesses } from './own-processes.ts';
import { configFile, dnsmasqArguments, leaseFile, type ProvisioningSettings } from './settings.ts';
import { fillTftpFolder } from './tftp-folder.ts';

export interface ProvisioningStatus {
  readonly state: 'starting' | 'running' | 'missing-package' | 'failed' | 'stopped';
  /** Why it does not run, and what to do. */
  readonly why: string | null;
  readonly remedy: string | null;
  /** Debian packages to install. */
  readonly packages: readonly string[];
  /** What works less well than it could. */
  readonly warnings: readonly string[];
  readonly pid: number | null;
  /** Since when it is in this state, epoch milliseconds. */
  readonly since: number;
}

export interface ProvisioningTimings {
  /** Wait before the first new attempt; doubled up to `retryLast`. */
  readonly retryFirst: Duration;
  readonly retryLast: Duration;
  /** After so long in service the next attempt waits `retryFirst` again. */
  readonly stable: Duration;
  /** dnsmasq says that it serves within. */
  readonly start: Duration;
  /** It ends by itself within; then it is forced. */
  readonly stop: Duration;
  /** How often the interface is looked at while it is served. */
  readonly watch: Duration;
  /** How often an orphan that was asked to end is looked at. */
  readonly look: Duration;
}

export const provisioningTimings: ProvisioningTimings = {
  retryFirst: seconds(1),
  retryLast: seconds(60),
  stable: seconds(60),
  start: seconds(15),
  stop: seconds(5),
  watch: seconds(10),
  look: 50 as Duration,
};

export interface ProvisioningOptions {
  readonly context: DeviceContext;
  readonly settings: ProvisioningSettings;
  /** The iPXE script that every machine begins with. */
  readonly firstScript: string;
  readonly timings?: Partial<ProvisioningTimings>;
  /** How this host is looked at; replaced in tests. */
  readonly host?: { network(): Promise<HostNetwork>; rights(): Promise<Rights> };
}

type Trouble = Pick<ProvisioningStatus, 'state' | 'why' | 'remedy' | 'packages'>;

/**
 * Serves the provisioning network by dnsmasq, as long as everything that is needed is there: writes its configuration, ends what
 * an earlier run of the service left behind, starts it, follows its log, starts it again when it ends. Nothing here throws
 * to the caller: what is wrong is in {@link ProvisioningNetwork.status}, and is tried again.
 */
export class ProvisioningNetwork {
  readonly #context: DeviceContext;
  readonly #settings: ProvisioningSettings;
  readonly #firstScript: string;
  readonly #timings: ProvisioningTimings;
  readonly #host: NonNullable<ProvisioningOptions['host']>;
  readonly #stop = new AbortController();
  #status: ProvisioningStatus;
  #running: Promise<void> | null = null;

  constructor({ context, settings, firstScript, timings, host }: ProvisioningOptions) {
    this.#context = context;
    this.#settings = settings;
    this.#firstScript = firstScript;
    this.#timings = { ...provisioningTimings, ...timings };
    this.#host = host ?? { network: readHostNetwork, rights: readRights };
    this.#status = { ...calm('starting'), warnings: [], pid: null, since: context.clock.now() };
  }

  get status(): ProvisioningStatus {
    return this.#status;
  }

  async leases(): Promise<readonly Lease[]> {
    return readLeases(leaseFile(this.#settings), this.#context.clock.now());
  }

  start(): void {
    this.#running ??= this.#run(this.#stop.signal);
  }

  /** Ends dnsmasq. The leases stay. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopped'));
    await this.#running;
    await rm(this.#settings.tftpRoot, { recursive: true, force: true });
    this.#set({ ...calm('stopped'), warnings: [], pid: null });
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#context;
    const { retryFirst, retryLast, stable } = this.#timings;
    let retry = retryFirst;
    for (;;) {
      const began = clock.monotonic();
      const trouble = await this.#serve(signal).catch((error: unknown) => unexpected(error));
      if (signal.aborted) return;
      this.#report(trouble);
      if (clock.monotonic() - began >= stable) retry = retryFirst;
      const stopped = await clock.sleep(retry, signal).then(
        () => false,
        () => true,
      );
      if (stopped) return;
      retry = Math.min(retry * 2, retryLast) as Duration;
    }
  }

  /** From the first look at the host until dnsmasq has ended. */
  async #serve(signal: AbortSignal): Promise<Trouble> {
    const settings = this.#settings;
    const config = dnsmasqConfig(settings);
    await this.#endOrphans();
    const { checks, index } = await this.#checks();
    const refused = checks.find((check) => check.outcome === 'failed');
    if (refused) return troubleOf(refused);
    const program = await findProgram(settings.dnsmasq);
    if (program === null) return failure('dnsmasq went away', null);
    await mkdir(settings.folder, { recursive: true });
    await writeFile(configFile(settings), config);
    await fillTftpFolder(settings, this.#firstScript);
    signal.throwIfAborted();
    const child = startDnsmasq(program, dnsmasqArguments(settings), (text) =>
      this.#context.log(lineLevel(text), `dnsmasq: ${text}`),
    );
    return this.#follow(child, { checks, index }, signal);
  }

  async #follow(
    child: DnsmasqProcess,
    { checks, index }: { readonly checks: readonly Check[]; readonly index: number },
    outer: AbortSignal,
  ): Promise<Trouble> {
    const { clock } = this.#context;
    const { start, stop } = this.#timings;
    const over = new AbortController();
    const signal = AbortSignal.any([outer, over.signal]);
    try {
      const ended = child.ended.then((why) => failure(`dnsmasq does not run: ${why}`, null));
      const slow = clock
        .sleep(start, signal)
        .then(() => failure(`dnsmasq did not say within ${start / 1_000} s that it serves`, null));
      const early = await Promise.race([child.started.then(() => null), ended, slow]);
      if (early) return early;
      this.#set({
        ...calm('running'),
        warnings: warningsOf(checks),
        pid: child.pid ?? null,
      });
      return await Promise.race([ended, this.#watch(index, signal)]);
    } finally {
      over.abort(new Error('over'));
      await child.stop(clock, stop);
    }
  }

  /** Resolves when the interface is no longer the one that is served. */
  async #watch(index: number, signal: AbortSignal): Promise<Trouble> {
    for (;;) {
      await this.#context.clock.sleep(this.#timings.watch, signal);
      const host = await this.#host.network();
      const check = interfaceCheck(this.#settings, host);
      if (check.outcome === 'failed') return troubleOf(check);
      const warnings = warningsOf([check, advertisementCheck(this.#settings, host)]);
      this.#status = { ...this.#status, warnings };
      if (findInterface(this.#settings, host)?.index !== index)
        return failure(`${this.#settings.interface} was removed and made anew`, null);
    }
  }

  async #endOrphans(): Promise<void> {
    const args = dnsmasqArguments(this.#settings);
    for (const orphan of await findProcesses(args)) {
      this.#context.log('warn', 'ending the dnsmasq that an earlier run of the service left behind', {
        pid: orphan.pid,
      });
      await endProcess(orphan, args, this.#context.clock, {
        patience: this.#timings.stop,
        look: this.#timings.look,
      });
    }
  }

  /** In the order in which they can be looked at; after the first failure the others may be absent. */
  async #checks(): Promise<{ readonly checks: readonly Check[]; readonly index: number }> {
    const settings = this.#settings;
    const files = [...(await programChecks(settings.dnsmasq)), await bootFileCheck(settings.tftpDir)];
    if (files.some((check) => check.outcome === 'failed')) return { checks: files, index: 0 };
    const host = await this.#host.network();
    const checks = [
      interfaceCheck(settings, host),
      advertisementCheck(settings, host),
      bootUrlCheck(settings),
      rightsCheck(await this.#host.rights()),
      portCheck(settings, host, []),
    ];
    return { checks, index: findInterface(settings, host)?.index ?? 0 };
  }

  /** Repeated attempts that fail alike are told once. */
  #report(trouble: Trouble): void {
    const before = this.#status;
    this.#set({ ...trouble, warnings: [], pid: null });
    if (before.why === trouble.why) return;
    this.#context.log('error', `provisioning network: ${trouble.why ?? trouble.state}`, {
      interface: this.#settings.interface,
      remedy: trouble.remedy,
    });
  }

  #set(status: Omit<ProvisioningStatus, 'since'>): void {
    const same = status.state === this.#status.state && status.why === this.#status.why;
    this.#status = { ...status, since: same ? this.#status.since : this.#context.clock.now() };
    if (status.state === 'running')
      this.#context.log('info', 'the provisioning network is served', {
        interface: this.#settings.interface,
        pid: status.pid,
        warnings: status.warnings,
      });
  }
}

function calm(state: 'starting' | 'running' | 'stopped'): Trouble & { readonly state: typeof state } {
  return { state, why: null, remedy: null, packages: [] };
}

function failure(why: string, remedy: string | null): Trouble {
  return { state: 'failed', why, remedy, packages: [] };
}

function troubleOf({ what, remedy, packages }: Check): Trouble {
  return { state: packages.length > 0 ? 'missing-package' : 'failed', why: what, remedy, packages };
}

/** The warnings among them. */
function warningsOf(checks: readonly Check[]): readonly string[] {
  return checks
    .filter(({ outcome }) => outcome === 'warning')
    .map(({ what, remedy }) => (remedy === null ? what : `${what}; ${remedy}`));
}

function unexpected(error: unknown): Trouble {
  if (error instanceof CodedError) return failure(error.what, error.remedy ?? null);
  return failure(error instanceof Error ? error.message : 'unexpected failure', null);
}
