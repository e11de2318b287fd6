import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duration } from '../../../../plugin-api/index.ts';
import type { HostNetwork } from '../../../../src/drivers/deploy/native/provisioning/host-network.ts';
import {
  ProvisioningNetwork,
  type ProvisioningStatus,
} from '../../../../src/drivers/deploy/native/provisioning/provisioning-network.ts';
import {
  dnsmasqArguments,
  type ProvisioningSettings,
} from '../../../../src/drivers/deploy/native/provisioning/settings.ts';
import { SystemClock } from '../../../../src/kernel/clock/system-clock.ts';
import { requirePeer } from '../../../support/peers.ts';
import { until } from '../../../support/until.ts';
import { host, pxe0, settings } from './sample-network.ts';

const fast = {
  retryFirst: 10,
  retryLast: 40,
  start: 2_000,
  stop: 1_000,
  watch: 10,
  look: 10,
} as Readonly<Record<string, number>> as Readonly<Record<string, Duration>>;

/** What a dnsmasq may do; `$0` has its folder. */
const behaviours = {
  serves:
    'echo "dnsmasq[1]: started, version 2.90 DNS disabled" >&2; trap "exit 0" TERM; while :; do sleep 0.05; done',
  refuses: 'echo "dnsmasq: failed to create listening socket for 10.11.0.1: Address in use" >&2; exit 2',
  hangs: 'trap "" TERM; while :; do sleep 0.05; done',
} as const;

describe('supervisor of dnsmasq', () => {
  let folder: string;
  let own: ProvisioningSettings;
  let seen: HostNetwork;
  let networks: ProvisioningNetwork[];
  let log: string[];

  before(function () {
    for (const peer of ['ip', 'ss']) requirePeer(this, peer);
  });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'csbm-provisioning-'));
    mkdirSync(join(folder, 'ipxe'));
    for (const file of ['undionly.kpxe', 'snponly.efi']) writeFileSync(join(folder, 'ipxe', file), '');
    own = {
      ...settings,
      tftpDir: join(folder, 'ipxe'),
      dnsmasq: join(folder, 'dnsmasq'),
      folder: join(folder, 'state'),
      tftpRoot: join(folder, 'tftp'),
    };
    seen = host;
    networks = [];
    log = [];
    behaves('serves');
  });
  afterEach(async () => {
    await Promise.all(networks.map((network) => network.stop()));
    rmSync(folder, { recursive: true });
  });

  /** Every run notes its pid and its environment. */
  function behaves(how: keyof typeof behaviours): void {
    const script = `#!/bin/sh\nenv > ${folder}/env\necho $$ >> ${folder}/runs\n${behaviours[how]}\n`;
    writeFileSync(join(folder, 'dnsmasq'), script);
    chmodSync(join(folder, 'dnsmasq'), 0o755);
  }
  const runs = (): readonly number[] =>
    existsSync(join(folder, 'runs'))
      ? readFileSync(join(folder, 'runs'), 'utf8').trim().split('\n').map(Number)
      : [];
  const lives = (pid: number): boolean => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  function start(timings: Partial<typeof fast> = {}): ProvisioningNetwork {
    const network = new ProvisioningNetwork({
      context: { clock: new SystemClock(), log: (level, message) => log.push(`${level}: ${message}`) },
      settings: own,
      firstScript: '#!ipxe\n',
      timings: { ...fast, ...timings },
      host: {
        network: async () => seen,
        rights: async () => ({ user: 0, inherited: ~0n }),
      },
    });
    networks.push(network);
    network.start();
    return network;
  }
  const reaches = async (
    network: ProvisioningNetwork,
    state: ProvisioningStatus['state'],
  ): Promise<ProvisioningStatus> => {
    await until(() => network.status.state === state, `${state} instead of ${network.status.state}`, 10_000);
    return network.status;
  };

  it('runs it with its configuration, without our environment, until it is stopped', async () => {
    process.env['CSBM_KEY'] = 'not-for-children';
    try {
      const network = start();
      const { pid, warnings } = await reaches(network, 'running');
      assert.deepEqual(runs(), [pid]);
      assert.deepEqual(warnings, []);
      assert.match(readFileSync(join(own.folder, 'dnsmasq.conf'), 'utf8'), /^interface=pxe0$/m);
      assert.doesNotMatch(readFileSync(join(folder, 'env'), 'utf8'), /not-for-children/);
      await network.stop();
      assert.equal(lives(pid!), false);
      assert.equal(network.status.state, 'stopped');
    } finally {
      delete process.env['CSBM_KEY'];
    }
  });

  it('hands out iPXE and the first script from a folder that everyone can read, while it runs', async () => {
    writeFileSync(join(folder, 'ipxe/snponly.efi'), 'efi');
    const before = process.umask(0o077);
    try {
      const network = start();
      await reaches(network, 'running');
      const modes = (name: string): number => statSync(join(own.tftpRoot, name)).mode & 0o777;
      assert.equal(modes('.'), 0o755);
      for (const name of ['boot.ipxe', 'undionly.kpxe', 'snponly.efi']) assert.equal(modes(name), 0o644);
      assert.equal(readFileSync(join(own.tftpRoot, 'boot.ipxe'), 'utf8'), '#!ipxe\n');
      assert.equal(readFileSync(join(own.tftpRoot, 'snponly.efi'), 'utf8'), 'efi');
      assert.match(
        readFileSync(join(own.folder, 'dnsmasq.conf'), 'utf8'),
        new RegExp(`^tftp-root=${own.tftpRoot}$`, 'm'),
      );
      await network.stop();
      assert.equal(existsSync(own.tftpRoot), false);
    } finally {
      process.umask(before);
    }
  });

  it('names the package that is missing, and goes on by itself once it is there', async () => {
    rmSync(join(folder, 'dnsmasq'));
    const network = start();
    assert.deepEqual((await reaches(network, 'missing-package')).packages, ['dnsmasq-base']);
    rmSync(join(folder, 'ipxe/snponly.efi'));
    behaves('serves');
    await until(() => network.status.packages.includes('ipxe'), 'the package ipxe');
    assert.match(network.status.why!, /snponly\.efi cannot be read/);
    writeFileSync(join(folder, 'ipxe/snponly.efi'), '');
    await reaches(network, 'running');
    assert.equal(log.filter((line) => line.startsWith('error')).length, 2, 'each reason is told once');
  });

  it('says what dnsmasq said when it does not start, and tries again', async () => {
    behaves('refuses');
    const network = start();
    const { why } = await reaches(network, 'failed');
    assert.match(why!, /code 2; it said: failed to create listening socket .* Address in use/);
    await until(() => runs().length > 2, 'more attempts');
    behaves('serves');
    await reaches(network, 'running');
  });

  it('starts it again when it is killed', async () => {
    const network = start();
    const { pid } = await reaches(network, 'running');
    process.kill(pid!, 'SIGKILL');
    await until(() => network.status.state === 'running' && network.status.pid !== pid, 'another one');
    assert.equal(runs().length, 2);
  });

  it('forces the end of one that neither serves nor listens', async () => {
    behaves('hangs');
    const network = start({ start: 100 as Duration, stop: 100 as Duration, retryFirst: 60_000 as Duration });
    assert.match((await reaches(network, 'failed')).why!, /did not say within 0\.1 s/);
    assert.deepEqual(runs().map(lives), [false]);
  });

  it('never starts it where the interface is not the provisioning one', async () => {
    seen = { ...host, defaultRoutes: ['pxe0'] };
    const network = start();
    assert.match((await reaches(network, 'failed')).why!, /default route/);
    assert.deepEqual(runs(), []);
  });

  for (const [what, change] of [
    ['loses its address', () => (seen = { ...host, interfaces: [{ ...pxe0, addresses: [] }] })],
    ['gets the default route', () => (seen = { ...host, defaultRoutes: ['pxe0'] })],
    ['goes away', () => (seen = { ...host, interfaces: [] })],
  ] as const) {
    it(`ends it when the interface ${what}, and serves again when that is mended`, async () => {
      const network = start();
      const { pid } = await reaches(network, 'running');
      change();
      await reaches(network, 'failed');
      assert.equal(lives(pid!), false);
      seen = host;
      await reaches(network, 'running');
    });
  }

  it('warns as long as there is a reason to', async () => {
    seen = { ...host, interfaces: [{ ...pxe0, carrier: false }] };
    const network = start();
    assert.match((await reaches(network, 'running')).warnings.join(), /no carrier/);
    seen = host;
    await until(() => network.status.warnings.length === 0, 'no more warnings');
    assert.deepEqual([network.status.state, runs().length], ['running', 1]);
  });

  it('starts it anew when the interface was replaced by another one of that name', async () => {
    const network = start();
    const { pid } = await reaches(network, 'running');
    seen = { ...host, interfaces: [{ ...pxe0, index: 9 }] };
    await until(() => network.status.state === 'running' && network.status.pid !== pid, 'another one');
  });

  describe('what others left running', () => {
    const others: ChildProcess[] = [];
    const leave = async (args: readonly string[]): Promise<number> => {
      const before = runs().length;
      const child = spawn(join(folder, 'dnsmasq'), args, { stdio: 'ignore' });
      others.push(child);
      await until(() => runs().length > before, 'its start');
      return child.pid!;
    };
    afterEach(async () => {
      for (const child of others.splice(0)) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const gone = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        await gone;
      }
    });

    it('an orphan of ours is ended, and another one starts', async () => {
      const orphan = await leave(dnsmasqArguments(own));
      const { pid } = await reaches(start(), 'running');
      assert.notEqual(pid, orphan);
      await until(() => !lives(orphan), 'its end');
    });

    it('an orphan that does not listen is forced', async () => {
      behaves('hangs');
      await leave(dnsmasqArguments(own));
      behaves('serves');
      await reaches(start({ stop: 100 as Duration }), 'running');
      await until(() => others[0]!.signalCode === 'SIGKILL', 'its forced end');
    });

    it('a dnsmasq with any other configuration is left alone', async () => {
      const other = await leave(['-k', `--conf-file=${join(own.folder, 'dnsmasq.conf')}.other`]);
      const system = await leave(['-k']);
      await reaches(start(), 'running');
      assert.deepEqual([other, system].map(lives), [true, true]);
    });
  });
});
