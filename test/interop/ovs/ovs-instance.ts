import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { peerRequired, requirePeer } from '../../support/peers.ts';
import { until } from '../../support/until.ts';

const run = promisify(execFile);

/** Skips, or fails where CI says so, unless Open vSwitch can be run here. */
export function requireOvs(context: Mocha.Context): void {
  for (const name of ['ovs-vswitchd', 'ovsdb-server', 'ovsdb-tool', 'ovs-vsctl', 'ip', 'python3'])
    requirePeer(context, name);
  // Network namespaces and raw sockets are for root only.
  if (process.getuid?.() === 0) return;
  if (peerRequired('ovs-vswitchd'))
    throw new Error('Open vSwitch is required here (CI_REQUIRED_PEERS), and needs root');
  process.stderr.write('    skipped: Open vSwitch needs root, for a network namespace of its own\n');
  context.skip();
}

export interface OvsOptions {
  /** More places for the database server to listen at, such as `ptcp:0:127.0.0.1`. */
  readonly remotes?: readonly string[];
}

let count = 0;

/**
 * A real Open vSwitch with the userspace datapath, in a network namespace and a folder of its own. Each port `p1` is one end
 * of a virtual cable; the other end, `h1`, is where a server would be.
 */
export class OvsInstance {
  readonly folder = mkdtempSync(join(tmpdir(), 'csbm-ovs-'));
  readonly namespace = `csbm-ovs-${process.pid}-${(count += 1)}`;
  readonly #options: OvsOptions;
  readonly #env: NodeJS.ProcessEnv;
  readonly #cables: string[] = [];
  #starts = 0;
  #database: ChildProcess | null = null;
  #daemon: ChildProcess | null = null;

  private constructor(options: OvsOptions) {
    this.#options = options;
    const { folder } = this;
    this.#env = {
      ...process.env,
      PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
      OVS_RUNDIR: folder,
      OVS_DBDIR: folder,
      OVS_LOGDIR: folder,
    };
  }

  static async start(options: OvsOptions = {}): Promise<OvsInstance> {
    const instance = new OvsInstance(options);
    try {
      await instance.#run('ip', ['netns', 'add', instance.namespace]);
      const schema = '/usr/share/openvswitch/vswitch.ovsschema';
      await instance.#run('ovsdb-tool', ['create', join(instance.folder, 'conf.db'), schema]);
      await instance.startDatabase();
      await instance.startDaemon();
      return instance;
    } catch (error) {
      await instance.stop();
      throw error;
    }
  }

  /** Path of the socket of the database server. */
  get socket(): string {
    return join(this.folder, 'db.sock');
  }

  /** TCP port of the first of the remotes. */
  get port(): number {
    const log = readFileSync(join(this.folder, 'ovsdb.log'), 'utf8');
    return Number(/listening on port (\d+)/.exec(log)![1]);
  }

  /** @param args more of them than usual */
  async startDatabase(args: readonly string[] = []): Promise<void> {
    const { remotes = [] } = this.#options;
    this.#database = this.#spawn('ovsdb-server', [
      join(this.folder, 'conf.db'),
      `--remote=punix:${this.socket}`,
      ...remotes.map((remote) => `--remote=${remote}`),
      `--log-file=${join(this.folder, 'ovsdb.log')}`,
      `--unixctl=${join(this.folder, 'ovsdb.ctl')}`,
      ...args,
    ]);
    await this.vsctl('--no-wait', 'init');
  }

  async startDaemon(): Promise<void> {
    this.#daemon = this.#spawn('ip', [
      ...['netns', 'exec', this.namespace, 'ovs-vswitchd', `unix:${this.socket}`],
      `--log-file=${join(this.folder, 'vswitchd.log')}`,
      `--unixctl=${join(this.folder, 'vswitchd.ctl')}`,
    ]);
    // ovs-vsctl waits for the daemon to take a change, so there has to be one.
    this.#starts += 1;
    await this.vsctl('set', 'Open_vSwitch', '.', `external_ids:starts=${this.#starts}`);
  }

  /** Ends the database server: `kill` is what a crash does. */
  async stopDatabase(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    await end(this.#database, signal);
    this.#database = null;
  }

  async stopDaemon(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    await end(this.#daemon, signal);
    this.#daemon = null;
  }

  /** Runs ovs-vsctl: the foreign administrator. @returns what it printed, trimmed */
  async vsctl(...args: string[]): Promise<string> {
    return this.#run('ovs-vsctl', [`--db=unix:${this.socket}`, '--retry', '--timeout=15', ...args]);
  }

  /** The rows of a table, as ovs-vsctl lists them: sets as lists, single values as themselves. */
  async list(table: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const text = await this.vsctl('--format=json', '--data=json', 'list', table);
    const { headings, data } = JSON.parse(text) as { headings: string[]; data: unknown[][] };
    return data.map((row) => Object.fromEntries(headings.map((name, i) => [name, plain(row[i])])));
  }

  /** Makes the bridge anew with these ports, as `add-port` leaves them. */
  async reset(bridge: string, ports: readonly string[]): Promise<void> {
    for (const port of ports.filter((name) => !this.#cables.includes(name))) {
      const far = farEnd(port);
      const ip = (...args: string[]): Promise<string> => this.#run('ip', ['-n', this.namespace, ...args]);
      await ip('link', 'add', port, 'type', 'veth', 'peer', 'name', far);
      await ip('link', 'set', port, 'up');
      await ip('link', 'set', far, 'up');
      this.#cables.push(port);
    }
    const old = (await this.vsctl('list-br')).split('\n').filter((name) => name !== '');
    await this.vsctl(
      ...old.flatMap((name) => ['--', 'del-br', name]),
      ...['--', 'add-br', bridge, '--', 'set', 'bridge', bridge, 'datapath_type=netdev'],
      ...ports.flatMap((port) => ['--', 'add-port', bridge, port]),
    );
  }

  /** Starts hearing at the far ends of these ports. @param control two ports that reach each other */
  listen(control: readonly [string, string], ports: readonly string[]): Frames {
    const script = new URL('./frames.py', import.meta.url).pathname;
    const ends = [...control, ...ports].map(farEnd);
    return new Frames(
      this.#spawn('ip', ['netns', 'exec', this.namespace, 'python3', script, ...ends], 'pipe'),
    );
  }

  async stop(): Promise<void> {
    await this.stopDaemon();
    await this.stopDatabase();
    await this.#run('ip', ['netns', 'del', this.namespace]);
    rmSync(this.folder, { recursive: true });
  }

  #spawn(command: string, args: readonly string[], input: 'ignore' | 'pipe' = 'ignore'): ChildProcess {
    const stdio = [input, input, input === 'pipe' ? 'inherit' : 'ignore'] as const;
    const child = spawn(command, args, { env: this.#env, stdio: [...stdio] });
    // A test that dies must not leave a switch behind.
    const kill = (): boolean => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.off('exit', kill));
    return child;
  }

  async #run(command: string, args: readonly string[]): Promise<string> {
    const { stdout } = await run(command, args, { env: this.#env });
    return stdout.trim();
  }
}

/** Where frames were heard: name of the port at whose far end, and the tags of each. */
export type Heard = Readonly<Record<string, readonly (readonly number[])[]>>;

/** Sends and hears raw frames where servers would be. */
export class Frames {
  readonly #child: ChildProcess;
  #text = '';

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (this.#text += text));
  }

  /** Sends a broadcast frame from the far end of a port. @param tags VLAN tags, the outer one first */
  async probe(port: string, ...tags: number[]): Promise<Heard> {
    this.#child.stdin!.write(`${JSON.stringify({ from: farEnd(port), tags })}\n`);
    await until(() => this.#text.includes('\n') || this.#child.exitCode !== null);
    const [line, ...rest] = this.#text.split('\n');
    this.#text = rest.join('\n');
    const heard = JSON.parse(line!) as Heard;
    return Object.fromEntries(
      Object.entries(heard)
        .map(([far, frames]) => [nearEnd(far), frames] as const)
        .sort(([a], [b]) => a.localeCompare(b)),
    );
  }

  async stop(): Promise<void> {
    await end(this.#child, 'SIGTERM');
  }
}

function farEnd(port: string): string {
  return `h-${port}`;
}

function nearEnd(far: string): string {
  return far.slice('h-'.length);
}

async function end(child: ChildProcess | null, signal: NodeJS.Signals): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

/** `["set", [...]]`, `["map", [...]]` and `["uuid", "..."]` as what they mean. */
function plain(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  const [kind, content] = value as [string, unknown];
  if (kind === 'set') return (content as unknown[]).map(plain);
  if (kind === 'map') return Object.fromEntries(content as [string, string][]);
  return content;
}
