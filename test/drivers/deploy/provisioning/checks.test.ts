import assert from 'node:assert/strict';
import {
  advertisementCheck,
  bootUrlCheck,
  interfaceCheck,
  portCheck,
  rightsCheck,
} from '../../../../src/drivers/deploy/native/provisioning/checks.ts';
import type {
  HostInterface,
  UdpSocket,
} from '../../../../src/drivers/deploy/native/provisioning/host-network.ts';
import { eth0, host, pxe0, settings } from './sample-network.ts';

describe('checks of the provisioning network', () => {
  const withPxe0 = (change: Partial<HostInterface>) => ({
    ...host,
    interfaces: [{ ...pxe0, ...change }, eth0],
  });

  it('an interface that is up and has the address is taken', () => {
    assert.equal(interfaceCheck(settings, host).outcome, 'ok');
  });

  for (const [what, check, says, cure] of [
    [
      'is not there',
      interfaceCheck(settings, { ...host, interfaces: [eth0] }),
      /no interface pxe0/,
      /interface/,
    ],
    [
      'has the default route',
      interfaceCheck({ ...settings, interface: 'eth0', address: '192.0.2.2' }, host),
      /eth0 carries a default route/,
      /name an interface/,
    ],
    [
      'is the loopback',
      interfaceCheck(settings, withPxe0({ loopback: true })),
      /loopback/,
      /name the interface/,
    ],
    ['is down', interfaceCheck(settings, withPxe0({ up: false })), /pxe0 is down/, /ip link set pxe0 up/],
    [
      'has another prefix length',
      interfaceCheck({ ...settings, prefix: 16 }, host),
      /has not the address 10\.11\.0\.1\/16, but 10\.11\.0\.1\/24/,
      /ip address add 10\.11\.0\.1\/16 dev pxe0/,
    ],
    [
      'has no address',
      interfaceCheck(settings, withPxe0({ addresses: [] })),
      /but no IPv4 address/,
      /ip address/,
    ],
  ] as const) {
    it(`an interface that ${what} is refused`, () => {
      assert.equal(check.outcome, 'failed');
      assert.match(check.what, says);
      assert.match(check.remedy!, cure);
    });
  }

  it('no carrier, and no IPv6 address to advertise, are told but no obstacle', () => {
    assert.equal(interfaceCheck(settings, withPxe0({ carrier: false })).outcome, 'warning');
    assert.equal(advertisementCheck(settings, host).outcome, 'ok');
    const linkLocal = pxe0.addresses.filter(({ scope }) => scope === 'link');
    const check = advertisementCheck(settings, withPxe0({ addresses: linkLocal }));
    assert.equal(check.outcome, 'warning');
    assert.match(check.what, /13 s/);
    assert.match(check.remedy!, /ip address add fd77::1\/64 dev pxe0/);
  });

  it('ports are taken only by who really has them on this interface', () => {
    const socket: UdpSocket = {
      address: '0.0.0.0',
      device: null,
      port: 67,
      owner: { program: 'dhcpd', pid: 77 },
    };
    const look = (change: Partial<UdpSocket>, ours: readonly number[] = []) =>
      portCheck(settings, { ...host, udp: [{ ...socket, ...change }] }, ours);
    assert.match(look({}).what, /UDP port 67 is taken on pxe0 by dhcpd \(pid 77\)/);
    assert.equal(look({}, [77]).outcome, 'ok');
    assert.equal(look({ device: 'pxe0' }).outcome, 'failed');
    assert.equal(look({ device: 'virbr0' }).outcome, 'ok');
    assert.equal(look({ address: '192.0.2.2', port: 69 }).outcome, 'ok');
    assert.equal(look({ address: '10.11.0.1', port: 69 }).outcome, 'failed');
    assert.equal(look({ address: '::', port: 69 }).outcome, 'failed');
    assert.match(look({ owner: null }).what, /another process/);
    assert.equal(look({ port: 68 }).outcome, 'ok');
  });

  it('names exactly the capabilities that are missing', () => {
    const [bind, admin, raw] = [1n << 10n, 1n << 12n, 1n << 13n];
    assert.equal(rightsCheck({ user: 990, inherited: bind | admin | raw }).outcome, 'ok');
    assert.match(
      rightsCheck({ user: 990, inherited: bind | raw }).what,
      /user 990 cannot give dnsmasq CAP_NET_ADMIN$/,
    );
    assert.match(
      rightsCheck({ user: 0, inherited: admin }).what,
      /root cannot give dnsmasq CAP_NET_BIND_SERVICE, CAP_NET_RAW$/,
    );
    assert.match(rightsCheck({ user: 990, inherited: 0n }).remedy!, /root|AmbientCapabilities/);
  });

  it('a boot URL is of use only with an address of the network', () => {
    const outcome = (bootUrl: string) => bootUrlCheck({ ...settings, bootUrl }).outcome;
    assert.equal(outcome('http://10.11.0.1:8480'), 'ok');
    assert.equal(outcome('http://10.11.0.250:80/csbm'), 'ok');
    for (const url of [
      'http://127.0.0.1:8480',
      'http://0.0.0.0:8480',
      'http://boot.example.org',
      'http://[fd77::1]:1',
    ])
      assert.equal(outcome(url), 'failed', url);
  });
});
