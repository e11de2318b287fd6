import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../../../src/config/config-error.ts';
import { loadConfig } from '../../../../src/config/load-config.ts';

describe('configuration of the provisioning network', () => {
  const folder = mkdtempSync(join(tmpdir(), 'csbm-provisioning-config-'));
  after(() => rmSync(folder, { recursive: true }));

  const load = (...keys: readonly string[]) => {
    const path = join(folder, 'csbm.yaml');
    writeFileSync(path, ['provisioning:', '  network:', ...keys.map((key) => `    ${key}`), ''].join('\n'));
    return loadConfig({ path, env: {} }).config.provisioning.network;
  };
  const wrong = (...keys: readonly string[]): readonly (string | number | null)[] => {
    try {
      load(...keys);
    } catch (error) {
      assert.ok(error instanceof ConfigError);
      return error.problems.map(({ key }) => key).sort();
    }
    return [];
  };
  const whole = [
    'enabled: true',
    'interface: pxe0',
    'address: 10.11.0.1/24',
    'range: 10.11.0.100-10.11.0.200',
  ];
  const except = (key: string, ...instead: readonly string[]) => [
    ...whole.filter((line) => !line.startsWith(`${key}:`)),
    ...instead,
  ];

  it('is off unless asked for, with the places of Debian', () => {
    assert.deepEqual(loadConfig({ env: {}, cwd: folder, path: undefined }).config.provisioning.network, {
      enabled: false,
      routerAdvertisements: true,
      tftpDir: '/usr/lib/ipxe',
      dnsmasq: 'dnsmasq',
    });
  });

  it('reads address and range', () => {
    const network = load(...whole);
    assert.deepEqual(network.address, { host: '10.11.0.1', prefix: 24 });
    assert.deepEqual(network.range, { first: '10.11.0.100', last: '10.11.0.200' });
  });

  it('needs the interface by name, its address and the range, once it is on', () => {
    assert.deepEqual(wrong('enabled: true'), [
      'provisioning.network.address',
      'provisioning.network.interface',
      'provisioning.network.range',
    ]);
  });

  it('takes one plain interface name, no pattern', () => {
    for (const name of ['"*"', 'eth*', '"pxe0,eth0"', '"a b"', 'averyveryverylongname'])
      assert.deepEqual(
        wrong(...except('interface', `interface: ${name}`)),
        ['provisioning.network.interface'],
        name,
      );
  });

  it('refuses misshapen addresses', () => {
    for (const address of [
      '10.11.0.1',
      '10.11.0.1/33',
      '10.11.0.1/31',
      '10.11.0/24',
      '"fd77::1/64"',
      '10.11.0.1/24/1',
    ])
      assert.deepEqual(
        wrong(...except('address', `address: ${address}`)),
        ['provisioning.network.address'],
        address,
      );
  });

  it('refuses a range that is misshapen, leaves the network, or contains the own address', () => {
    for (const range of [
      '10.11.0.100',
      '10.11.0.200-10.11.0.100',
      '10.12.0.100-10.12.0.200',
      '10.11.0.100-10.11.1.10',
      '10.11.0.0-10.11.0.9',
      '10.11.0.100-10.11.0.255',
      '10.11.0.1-10.11.0.9',
    ])
      assert.deepEqual(wrong(...except('range', `range: ${range}`)), ['provisioning.network.range'], range);
  });
});
