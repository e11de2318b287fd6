import assert from 'node:assert/strict';
import fc from 'fast-check';
import { dnsmasqConfig } from '../../../../src/drivers/deploy/native/provisioning/dnsmasq-config.ts';
import { CodedError } from '../../../../plugin-api/index.ts';
import { settings } from './sample-network.ts';

const lines = (text: string): readonly string[] => text.split('\n').filter((line) => !/^(#|$)/.test(line));

describe('configuration of dnsmasq', () => {
  it('serves one interface, by its own sockets, without DNS and without a pid file of the system', () => {
    const config = lines(dnsmasqConfig(settings));
    assert.deepEqual(
      config.filter((line) => line.startsWith('interface=')),
      ['interface=pxe0'],
    );
    for (const line of ['port=0', 'bind-interfaces', 'except-interface=lo', 'enable-tftp=pxe0', 'pid-file='])
      assert.ok(config.includes(line), line);
  });

  it('gives out the range of the network and nothing that leads out of it', () => {
    const config = lines(dnsmasqConfig({ ...settings, prefix: 22 }));
    assert.ok(config.includes('dhcp-range=10.11.0.100,10.11.0.200,255.255.252.0,10m'));
    assert.ok(config.includes('dhcp-lease-max=101'));
    assert.ok(config.includes('dhcp-option=option:router'));
  });

  it('gives iPXE its first script without the boot service', () => {
    assert.ok(lines(dnsmasqConfig(settings)).includes('dhcp-boot=tag:ipxe,boot.ipxe'));
  });

  it('advertises a router only where that is wanted', () => {
    assert.ok(lines(dnsmasqConfig(settings)).includes('enable-ra'));
    const without = dnsmasqConfig({ ...settings, routerAdvertisements: false });
    assert.doesNotMatch(without, /enable-ra|constructor/);
  });

  it('refuses what the file cannot hold: no value of a setting becomes a line or a part of its own', () => {
    const before = lines(dnsmasqConfig(settings)).length;
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }), (text) => {
        for (const key of ['tftpRoot', 'interface', 'folder', 'bootUrl'] as const) {
          let config: readonly string[];
          try {
            config = lines(dnsmasqConfig({ ...settings, [key]: text }));
          } catch (error) {
            assert.ok(error instanceof CodedError && error.code === 'config.invalid');
            continue;
          }
          assert.equal(config.length, before);
          assert.match(text, /^[^,"'\\#\n\r]+$/);
        }
      }),
    );
    for (const tftpRoot of ['/a\nport=53', '/a,eth0', '/a # b', '/a"b'])
      assert.throws(() => dnsmasqConfig({ ...settings, tftpRoot }), /stateDir/);
  });

  it('refuses a boot URL that DHCP cannot carry', () => {
    const bootUrl = `http://10.11.0.1:8480/${'x'.repeat(89)}`;
    assert.equal(`${bootUrl}/ipxe/snponly.efi`.length, 128);
    assert.throws(() => dnsmasqConfig({ ...settings, bootUrl }), /boot\.publicUrl shorter/);
  });
});
