import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { requirePeer } from '../support/peers.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
const client = fileURLToPath(new URL('./dnsmasq/pxe-client.py', import.meta.url));
const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const tsx = fileURLToPath(import.meta.resolve('tsx'));

const bootFolder = '/usr/lib/ipxe';
const base = 'http://10.11.0.1:8480';
const env = {
  PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
  CSBM_FIRST_TOKEN: 'a-token-for-this-test',
};

interface Asker {
  readonly mac: string;
  readonly arch: number;
  readonly vendor?: string;
  readonly ipxe?: boolean;
}

interface Told {
  readonly address: string;
  readonly nextServer: string;
  readonly file: string;
  readonly vendor: string;
  readonly router: boolean;
}

interface Leases {
  readonly provisioning: {
    readonly state: string;
    readonly why: string | null;
    readonly pid: number | null;
    readonly warnings: readonly string[];
  };
  readonly leases: readonly {
    readonly mac: string;
    readonly address: string;
    readonly expiresAt: number;
    readonly machine: object | null;
  }[];
}

/** Two hosts with two networks between them: `pxe0` - `m0` is for provisioning, `other0` - `o0` is not. */
class Networks {
  readonly server = `csbm-s-${process.pid}`;
  readonly machine = `csbm-m-${process.pid}`;

  make(): void {
    for (const name of [this.server, this.machine]) {
      ip('netns', 'add', name);
      ip('-n', name, 'link', 'set', 'lo', 'up');
    }
    this.#wire('pxe0', 'm0');
    this.#wire('other0', 'o0');
    for (const [name, device, address] of [
      [this.server, 'pxe0', '10.11.0.1/24'],
      [this.server, 'other0', '10.99.0.1/24'],
      [this.machine, 'm0', '10.11.0.9/24'],
    ] as const)
      ip('-n', name, 'address', 'add', address, 'dev', device);
    ip('-n', this.server, 'address', 'add', 'fd77::1/64', 'dev', 'pxe0', 'nodad');
  }

  #wire(here: string, there: string): void {
    ip(
      'link',
      'add',
      here,
      'netns',
      this.server,
      'type',
      'veth',
      'peer',
      'name',
      there,
      'netns',
      this.machine,
    );
    ip('-n', this.server, 'link', 'set', here, 'up');
    ip('-n', this.machine, 'link', 'set', there, 'up');
  }

  remove(): void {
    for (const name of [this.server, this.machine]) ip('netns', 'del', name);
  }
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'], env });
}

function canMakeNetworks(): boolean {
  const name = `csbm-try-${process.pid}`;
  try {
    ip('netns', 'add', name);
    ip('netns', 'del', name);
    return true;
  } catch {
    return false;
  }
}

describe('interop: the service and dnsmasq', function () {
  this.timeout(60_000);
  const networks = new Networks();
  const started: ChildProcess[] = [];
  let folder = '';
  let made = false;
  let service: ChildProcess;
  let log = '';

  const on = (name: string, ...command: readonly string[]): readonly string[] => [
    'netns',
    'exec',
    name,
    ...command,
  ];
  const csbm = (...args: readonly string[]): readonly string[] =>
    on(
      networks.server,
      process.execPath,
      '--import',
      tsx,
      main,
      ...args,
      '--config',
      join(folder, 'csbm.yaml'),
    );

  const ask = async (asker: Asker, device = 'm0'): Promise<Told | null> => {
    const vendor = `PXEClient:Arch:${String(asker.arch).padStart(5, '0')}:UNDI:002001`;
    const spec = JSON.stringify({ vendor, ...asker });
    const { stdout } = await run('ip', on(networks.machine, 'python3', client, device, 'dhcp', spec), {
      env,
    });
    return JSON.parse(stdout) as Told | null;
  };
  const fetch = async (url: string): Promise<Buffer> => {
    const curl = ['curl', '-sSf', '--max-time', '20', '--interface', 'm0', url];
    const options = { env, encoding: 'buffer', maxBuffer: 8 * 1024 * 1024 } as const;
    return (await run('ip', on(networks.machine, ...curl), options)).stdout;
  };
  const leases = async (): Promise<Leases | null> => {
    const url = 'http://127.0.0.1:8440/api/v1/native/leases';
    const curl = ['curl', '-sS', '-H', `Authorization: Bearer ${env.CSBM_FIRST_TOKEN}`, url];
    try {
      const { stdout } = await run('ip', on(networks.server, ...curl), { env });
      return JSON.parse(stdout) as Leases;
    } catch {
      return null;
    }
  };
  const reaches = (state: string): Promise<void> =>
    until(async () => (await leases())?.provisioning.state === state, `state ${state}; its log:\n${log}`);
  /** Pids of every dnsmasq with that configuration file. */
  const dnsmasqs = async (
    config = join(folder, 'state/provisioning/dnsmasq.conf'),
  ): Promise<readonly number[]> => {
    const { stdout } = await run('ps', ['-eo', 'pid=,args=', '-C', 'dnsmasq', '-ww'], { env });
    return stdout
      .split('\n')
      .filter((line) => /\bdnsmasq -k /.test(line) && line.includes(config))
      .map((line) => Number.parseInt(line, 10));
  };
  const serve = async (expected: 'running' | 'failed'): Promise<void> => {
    service = spawn('ip', csbm('serve'), { env, stdio: ['ignore', 'ignore', 'pipe'] });
    service.stderr!.on('data', (chunk: Buffer) => (log += chunk.toString()));
    started.push(service);
    await reaches(expected);
  };
  const end = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  };
  /** Somebody else's dnsmasq on that interface. */
  const foreign = async (device: string, range: string): Promise<ChildProcess> => {
    const config = join(folder, `foreign-${device}.conf`);
    const settings = ['port=0', `interface=${device}`, 'except-interface=lo', 'bind-interfaces', 'pid-file='];
    const own = ['no-ping', `dhcp-range=${range}`, `dhcp-leasefile=${config}.leases`, 'log-facility=-'];
    writeFileSync(config, [...settings, ...own, ''].join('\n'));
    const child = spawn('ip', on(networks.server, 'dnsmasq', '-k', `--conf-file=${config}`), {
      env,
      stdio: 'ignore',
    });
    started.push(child);
    await until(async () => {
      const { stdout } = await run('ip', on(networks.server, 'ss', '-Huln'), { env });
      return stdout.includes(`%${device}:67`);
    }, `the foreign dnsmasq on ${device}`);
    return child;
  };

  before(async function () {
    for (const peer of ['ip', 'ss', 'ps', 'dnsmasq', 'curl', 'python3']) requirePeer(this, peer);
    requirePeer(this, 'ipxe', () => existsSync(join(bootFolder, 'undionly.kpxe')));
    requirePeer(this, 'netns-as-root', canMakeNetworks);
    folder = mkdtempSync(join(tmpdir(), 'csbm-dnsmasq-'));
    networks.make();
    made = true;
    mkdirSync(join(folder, 'state/ramdisk'), { recursive: true });
    for (const file of ['vmlinuz', 'initrd']) writeFileSync(join(folder, 'state/ramdisk', file), file);
    const config = `
stateDir: ./state
boot: {host: 10.11.0.1, port: 8480}
admin: {token: 'env:CSBM_FIRST_TOKEN'}
provisioning:
  network:
    enabled: true
    interface: pxe0
    address: 10.11.0.1/24
    range: 10.11.0.100-10.11.0.200
`;
    writeFileSync(join(folder, 'csbm.yaml'), config);
    await foreign('other0', '10.99.0.100,10.99.0.200');
    await serve('running');
  });

  after(async () => {
    for (const child of started) await end(child, 'SIGTERM');
    if (!made) return;
    for (const pid of await dnsmasqs()) process.kill(pid);
    networks.remove();
    rmSync(folder, { recursive: true });
  });

  it('serves the provisioning interface and no other one', async () => {
    const { stdout } = await run('ip', on(networks.server, 'ss', '-Hulnp'), { env });
    const [pid] = await dnsmasqs();
    const sockets = stdout.split('\n').filter((line) => line.includes(`pid=${pid!},`));
    const addresses = sockets.map((line) => line.trim().split(/\s+/)[3]!).sort();
    assert.deepEqual(addresses.slice(0, 2), ['0.0.0.0%pxe0:67', '10.11.0.1:69']);
    for (const address of addresses) assert.match(address, /pxe0|10\.11\.0\.1|fd77::1/);
    const told = await ask({ mac: '52:54:00:aa:99:01', arch: 0 }, 'o0');
    assert.match(told!.address, /^10\.99\./, 'only the other dnsmasq answers there');
    assert.equal(told!.file, '');
  });

  for (const [what, asker, file] of [
    ['BIOS', { arch: 0 }, 'undionly.kpxe'],
    ['UEFI (7)', { arch: 7 }, 'snponly.efi'],
    ['UEFI (9)', { arch: 9 }, 'snponly.efi'],
    ['iPXE under BIOS', { arch: 0, ipxe: true }, 'boot.ipxe'],
    ['iPXE under UEFI', { arch: 7, ipxe: true }, 'boot.ipxe'],
    ['an architecture without boot file', { arch: 11 }, ''],
  ] as const) {
    it(`tells a client as ${what} what to load`, async () => {
      const told = await ask({ mac: '52:54:00:aa:00:01', ...asker });
      assert.equal(told?.file, file);
      assert.match(told.address, /^10\.11\.0\.(1\d\d|200)$/);
      if (file !== '') assert.equal(told.nextServer, '10.11.0.1');
      assert.equal(told.router, false, 'nothing leads out of this network');
    });
  }

  it('tells UEFI HTTP boot a URL that has the boot file', async () => {
    const vendor = 'HTTPClient:Arch:00016:UNDI:003016';
    const told = await ask({ mac: '52:54:00:aa:00:02', arch: 16, vendor });
    assert.equal(told?.vendor, 'HTTPClient');
    assert.equal(told.file, `${base}/ipxe/snponly.efi`);
    assert.deepEqual(await fetch(told.file), readFileSync(join(bootFolder, 'snponly.efi')));
  });

  it('has the boot files and the first script on TFTP, the script behind its URL too', async () => {
    for (const file of ['undionly.kpxe', 'snponly.efi'])
      assert.deepEqual(await fetch(`tftp://10.11.0.1/${file}`), readFileSync(join(bootFolder, file)));
    const script = (await fetch('tftp://10.11.0.1/boot.ipxe')).toString();
    assert.match(script, /^#!ipxe\n/);
    assert.ok(script.includes(base), 'it asks the boot service');
    assert.equal((await fetch(`${base}/boot.ipxe`)).toString(), script);
  });

  it('answers router solicitations, for which iPXE would wait', async () => {
    const { stdout } = await run('ip', on(networks.machine, 'python3', client, 'm0', 'router'), { env });
    assert.deepEqual(JSON.parse(stdout), { prefix: 'fd77::' });
  });

  it('shows the leases', async () => {
    const told = await ask({ mac: '52:54:00:aa:00:03', arch: 0 });
    const shown = (await leases())!.leases.find(({ mac }) => mac === '52:54:00:aa:00:03');
    assert.equal(shown?.address, told!.address);
    assert.ok(shown.expiresAt > Date.now());
    assert.equal(shown.machine, null);
    assert.deepEqual((await leases())!.provisioning.warnings, []);
  });

  it('the doctor finds everything in order', async () => {
    const { stdout } = await run('ip', csbm('native', 'doctor'), { env });
    const lines = stdout.trim().split('\n');
    assert.ok(lines.length >= 11, stdout);
    for (const line of lines) assert.match(line, /^ok /);
    assert.match(stdout, /csbm's own dnsmasq/);
  });

  it('starts dnsmasq again when it ends', async () => {
    const [before] = await dnsmasqs();
    process.kill(before!, 'SIGKILL');
    await until(async () => {
      const [now, ...more] = await dnsmasqs();
      return now !== undefined && now !== before && more.length === 0;
    }, 'a new dnsmasq');
    await reaches('running');
    assert.ok(await ask({ mac: '52:54:00:aa:00:01', arch: 0 }));
  });

  it('a killed service leaves one that serves on; the next start ends it, and exactly one runs', async () => {
    const before = await ask({ mac: '52:54:00:aa:00:04', arch: 0 });
    await end(service, 'SIGKILL');
    const [orphan] = await dnsmasqs();
    const meanwhile = await ask({ mac: '52:54:00:aa:00:04', arch: 0 });
    assert.deepEqual(meanwhile, before, 'the orphan answers');
    await serve('running');
    const now = await dnsmasqs();
    assert.equal(now.length, 1);
    assert.notEqual(now[0], orphan);
    assert.equal((await leases())!.provisioning.pid, now[0]);
    assert.deepEqual(await ask({ mac: '52:54:00:aa:00:04', arch: 0 }), before, 'the lease is known');
  });

  it('ends its dnsmasq when it is stopped', async () => {
    await end(service, 'SIGTERM');
    assert.deepEqual(await dnsmasqs(), []);
  });

  it('does not start beside a DHCP server of somebody else, and leaves that one alone', async () => {
    const other = await foreign('pxe0', '10.11.0.50,10.11.0.60');
    await serve('failed');
    const { why } = (await leases())!.provisioning;
    assert.match(why!, /UDP port 67 is taken on pxe0 by dnsmasq \(pid \d+\)/);
    assert.deepEqual(await dnsmasqs(), []);
    // The rest of the service works, and serves once the other one has gone.
    assert.match((await fetch(`${base}/boot.ipxe`)).toString(), /^#!ipxe\n/);
    await end(other, 'SIGTERM');
    await reaches('running');
  });

  it('never touched the dnsmasq of the other interface', async () => {
    assert.equal(started[0]!.exitCode, null);
    assert.equal((await dnsmasqs(join(folder, 'foreign-other0.conf'))).length, 1);
    assert.ok(await ask({ mac: '52:54:00:aa:99:02', arch: 0 }, 'o0'));
  });
});
