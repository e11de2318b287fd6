import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { csbm } from '../../../cli/run-csbm.ts';
import { requirePeer } from '../../../support/peers.ts';

interface Report {
  readonly ok: boolean;
  readonly checks: readonly {
    readonly name: string;
    readonly outcome: string;
    readonly what: string;
    readonly remedy: string | null;
    readonly packages: readonly string[];
  }[];
}

describe('csbm native doctor', () => {
  let cwd: string;
  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), 'csbm-doctor-'));
  });
  afterEach(() => rmSync(cwd, { recursive: true }));

  const report = async (
    ...config: readonly string[]
  ): Promise<{ code: number | null; checks: Report['checks'] }> => {
    writeFileSync(join(cwd, 'csbm.yaml'), ['stateDir: ./state', ...config, ''].join('\n'));
    const { code, out } = await csbm(['native', 'doctor', '--json'], { cwd });
    const { ok, checks } = JSON.parse(out) as Report;
    assert.equal(ok, code === 0);
    return { code, checks };
  };
  const network = (...keys: readonly string[]): readonly string[] => [
    'provisioning:',
    '  network:',
    ...keys.map((key) => `    ${key}`),
  ];

  it('finds everything that is missing at once, with what to do', async function () {
    for (const peer of ['ip', 'ss']) requirePeer(this, peer);
    mkdirSync(join(cwd, 'state/ramdisk'), { recursive: true });
    writeFileSync(join(cwd, 'state/ramdisk/vmlinuz'), '');
    const { code, checks } = await report(
      ...network(
        'enabled: true',
        'interface: absent0',
        'address: 10.11.0.1/24',
        'range: 10.11.0.100-10.11.0.200',
        'tftpDir: ./nowhere',
        'dnsmasq: ./no-dnsmasq',
      ),
      '  conversion: {qemuImg: ./no-qemu-img}',
    );
    assert.equal(code, 1);
    const of = (name: string) => checks.find((check) => check.name === name)!;
    assert.deepEqual(of('dnsmasq').packages, ['dnsmasq-base']);
    assert.deepEqual(of('iPXE files').packages, ['ipxe']);
    assert.match(of('ramdisk').what, /^initrd cannot be read in .*state\/ramdisk$/);
    assert.match(of('ramdisk').remedy!, /make ramdisk OUT=\S+\/state\/ramdisk \(docs\/ramdisk\.md\)/);
    assert.deepEqual([of('qemu-img').outcome, of('qemu-img').packages], ['warning', ['qemu-utils']]);
    assert.match(of('interface').what, /no interface absent0/);
    assert.match(of('boot URL').remedy!, /boot\.host: 10\.11\.0\.1/);
    assert.equal(of('boot service').outcome, 'failed');
    for (const { outcome, remedy } of checks) assert.equal(remedy === null, outcome === 'ok');
  });

  it('one line for each check, for people', async () => {
    const { code, out } = await csbm(['native', 'doctor'], { cwd });
    assert.equal(code, 1);
    const lines = out.trim().split('\n');
    assert.match(lines[0]!, /^warning +configuration: .* -> {2}set provisioning\.network\.enabled: true/);
    for (const line of lines) assert.match(line, /^(ok|warning|FAILED) +[\w -]+: /i);
  });

  it('asks the boot service as machines do', async function () {
    for (const peer of ['ip', 'ss']) requirePeer(this, peer);
    let answer = '#!ipxe\n';
    const server: Server = createServer((_req, res) => res.end(answer)).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const keys = ['interface: lo', 'address: 127.0.0.1/8', 'range: 127.0.0.100-127.0.0.200'];
      const config = [`boot: {host: 127.0.0.1, port: ${port}}`, ...network(...keys)];
      const of = async () => (await report(...config)).checks.find(({ name }) => name === 'boot service')!;
      assert.equal((await of()).outcome, 'ok');
      answer = '<html>';
      assert.match((await of()).what, /not with a boot script/);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
    const { checks } = await report(
      `boot: {host: 127.0.0.1, port: 1}`,
      ...network('interface: lo', 'address: 127.0.0.1/8', 'range: 127.0.0.100-127.0.0.200'),
    );
    assert.match(checks.find(({ name }) => name === 'interface')!.what, /loopback/);
    assert.match(checks.find(({ name }) => name === 'boot service')!.what, /ECONNREFUSED/);
  });
});
