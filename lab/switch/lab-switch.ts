import { milliseconds, type Clock } from '../../plugin-api/index.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { Behaviours } from './behaviours.ts';
import type { Chunking } from './chunked-output.ts';
import type { Os9Knobs } from './os9-knobs.ts';
import { Os9Model } from './os9-model.ts';
import type { PortName } from './os9-port-name.ts';
import { portList } from './os9-port-name.ts';
import type { CryptoProfile, Reception } from './ssh-face.ts';
import { hostKeyFingerprint, makeHostKey, SshFace } from './ssh-face.ts';
import { Transcript } from './transcript.ts';

export interface LabSwitchOptions {
  /** For messages. */
  readonly name: string;
  /** In the prompt; default the name. */
  readonly hostname?: string;
  /** Server ports, as lists that the switch understands: `Te 1/1`, `Te 1/1-1/8,1/20`. */
  readonly ports: readonly string[];
  /** Ports that carry VLANs to other switches. */
  readonly uplinks?: readonly string[];
  /** VLANs that the uplinks are tagged in at the start. */
  readonly uplinkVlans?: readonly number[];
  /** `hybrid` (default), or plain layer 2, which becomes tagged-only with its first tagged VLAN. */
  readonly uplinkMode?: 'hybrid' | 'layer-2';
  readonly username: string;
  readonly password: string;
  /** 15 (default) lands in privileged mode; below it, `enable` is needed. */
  readonly privilege?: number;
  readonly enableSecret?: string;
  /** Default 1; null = `default-vlan disable`. */
  readonly defaultVlan?: number | null;
  /** VLANs that exist at the start, with their descriptions. */
  readonly vlans?: Readonly<Record<number, string>>;
  /** Server ports start as enabled hybrid switchports (default), or untouched: shut, in no mode. */
  readonly prepared?: boolean;
  readonly knobs?: Partial<Os9Knobs>;
  /** TCP port on 127.0.0.1; default 0 = any free one. */
  readonly port?: number;
  readonly crypto?: CryptoProfile;
  /** Private key in a form that ssh2 reads; default a new one. */
  readonly hostKey?: string;
  readonly methods?: readonly ('password' | 'keyboard-interactive')[];
  /** SSH banner before the login. */
  readonly banner?: string;
  /** Banner after the login that must be acknowledged with `y`. */
  readonly acknowledge?: string;
  readonly chunking?: Chunking;
  readonly vtyLines?: number;
  /** OS9's default is 10; the lab's is no limit. */
  readonly connectionsPerMinute?: number;
  /** Default 30 minutes. */
  readonly idleMs?: number;
  /** Milliseconds per command; default 0. */
  readonly latencyMs?: number;
  /** Milliseconds that a restart takes; default 0. */
  readonly restartMs?: number;
  /** Lines per page at login; default 24. */
  readonly terminalLength?: number;
  readonly clock?: Clock;
}

/** A simulated Dell OS9 switch with its SSH command line on loopback. */
export class LabSwitch {
  readonly name: string;
  readonly host = '127.0.0.1';
  readonly model: Os9Model;
  readonly behaviours = new Behaviours();
  readonly transcript = new Transcript();
  /** Milliseconds per command. */
  latencyMs: number;
  readonly #face: SshFace;
  readonly #stop = new AbortController();
  readonly #clock: Clock;
  readonly #restartMs: number;
  readonly #crypto: CryptoProfile;
  #hostKey: string;
  #restarting: Promise<void> = Promise.resolve();

  /** Builds the switch as the options say, saves that configuration, and listens. */
  static async start(options: LabSwitchOptions): Promise<LabSwitch> {
    const lab = new LabSwitch(options);
    await lab.#face.listen(options.port ?? 0);
    return lab;
  }

  private constructor(options: LabSwitchOptions) {
    this.name = options.name;
    this.#clock = options.clock ?? new SystemClock();
    this.model = startingModel(options, this.#clock);
    this.latencyMs = options.latencyMs ?? 0;
    this.#restartMs = options.restartMs ?? 0;
    this.#crypto = options.crypto ?? 'modern';
    this.#hostKey = options.hostKey ?? makeHostKey(this.#crypto);
    this.#face = new SshFace({
      model: this.model,
      clock: this.#clock,
      shell: {
        clock: this.#clock,
        behaviours: this.behaviours,
        transcript: this.transcript,
        stopped: this.#stop.signal,
        latency: () => this.latencyMs,
        reload: (newHostKey) => void this.reload({ newHostKey }),
      },
      crypto: this.#crypto,
      methods: options.methods ?? ['password', 'keyboard-interactive'],
      banner: options.banner ?? null,
      acknowledge: options.acknowledge ?? null,
      chunking: options.chunking ?? 'whole',
      connectionsPerMinute: options.connectionsPerMinute ?? null,
      idleMs: options.idleMs ?? 30 * 60_000,
      terminalLength: options.terminalLength ?? 24,
    });
    this.#face.useHostKey(this.#hostKey);
  }

  /** TCP port on 127.0.0.1; a reload keeps it. */
  get port(): number {
    return this.#face.port;
  }

  /** SHA-256 of the host key, hex. */
  get hostKeySha256(): string {
    return hostKeyFingerprint(this.#hostKey);
  }

  /** Terminal sessions now, the most at once, and ever; TCP connections ever, and those turned away. */
  get sessions(): { now: number; max: number; total: number; connections: number; refused: number } {
    return this.#face.counts;
  }

  /** What happens to new TCP connections. */
  get reception(): Reception {
    return this.#face.reception;
  }

  set reception(reception: Reception) {
    this.#face.reception = reception;
  }

  /**
   * Restarts the switch: every session breaks, for the restart time nothing is forwarded and new connections are closed,
   * and what was not saved is gone. With `newHostKey` it comes back as another device would.
   */
  reload(options: { newHostKey?: boolean } = {}): Promise<void> {
    const before = this.#restarting;
    const restart = this.#restart(options.newHostKey ?? false);
    this.#restarting = Promise.all([before, restart]).then(() => undefined);
    return restart;
  }

  /** Breaks every session, as a network failure does. */
  dropSessions(): void {
    this.#face.dropAll();
  }

  /** Stops for good: no socket or timer is left. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the switch is stopped'));
    await this.#face.close();
    await this.#restarting;
  }

  async #restart(newHostKey: boolean): Promise<void> {
    this.#face.reception = 'closed';
    this.model.setOffline(true);
    this.#face.dropAll();
    if (newHostKey) {
      this.#hostKey = makeHostKey(this.#crypto);
      this.#face.useHostKey(this.#hostKey);
    }
    try {
      if (this.#restartMs > 0) await this.#clock.sleep(milliseconds(this.#restartMs), this.#stop.signal);
    } catch {
      return; // stopped while restarting
    }
    this.model.loadStartup();
    this.model.setOffline(false);
    this.#face.reception = 'served';
  }
}

function startingModel(options: LabSwitchOptions, clock: Clock): Os9Model {
  const servers = allPorts(options.ports);
  const uplinks = allPorts(options.uplinks ?? []);
  const model = new Os9Model({
    hostname: options.hostname ?? options.name,
    ports: [...new Set([...servers, ...uplinks])].filter((port) => !port.startsWith('Port-channel ')),
    users: { [options.username]: { password: options.password, privilege: options.privilege ?? 15 } },
    enableSecret: options.enableSecret ?? null,
    clock,
    ...(options.defaultVlan === undefined ? {} : { defaultVlan: options.defaultVlan }),
    ...(options.vtyLines === undefined ? {} : { vtyLines: options.vtyLines }),
    ...(options.knobs === undefined ? {} : { knobs: options.knobs }),
  });
  const by = 'factory';
  for (const port of options.prepared === false ? [] : servers.filter((name) => !uplinks.includes(name))) {
    model.setHybrid(port, true, by);
    model.setSwitchport(port, true, by);
    model.setPort(port, { shutdown: false }, by);
  }
  for (const [id, description] of Object.entries(options.vlans ?? {})) {
    model.ensureVlan(Number(id), by);
    model.setVlan(Number(id), { description, shutdown: false }, by);
  }
  for (const port of uplinks) {
    if (port.startsWith('Port-channel ')) model.ensureLag(port, by);
    if (options.uplinkMode !== 'layer-2') model.setHybrid(port, true, by);
    model.setSwitchport(port, true, by);
    model.setPort(port, { shutdown: false }, by);
    for (const id of options.uplinkVlans ?? []) {
      model.ensureVlan(id, by);
      model.addTagged(id, port, by);
    }
  }
  model.save(by);
  return model;
}

function allPorts(lists: readonly string[]): PortName[] {
  return lists.flatMap((text) => {
    const ports = portList(text);
    if (ports === null) throw new Error(`"${text}" is no list of OS9 ports, such as Te 1/1-1/8`);
    return ports;
  });
}
