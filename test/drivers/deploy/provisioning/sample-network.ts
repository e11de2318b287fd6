import type {
  HostInterface,
  HostNetwork,
} from '../../../../src/drivers/deploy/native/provisioning/host-network.ts';
import type { ProvisioningSettings } from '../../../../src/drivers/deploy/native/provisioning/settings.ts';

export const settings: ProvisioningSettings = {
  interface: 'pxe0',
  address: '10.11.0.1',
  prefix: 24,
  range: { first: '10.11.0.100', last: '10.11.0.200' },
  routerAdvertisements: true,
  tftpDir: '/usr/lib/ipxe',
  dnsmasq: 'dnsmasq',
  folder: '/var/lib/csbm/provisioning',
  tftpRoot: '/run/csbm/tftp',
  bootUrl: 'http://10.11.0.1:8480',
};

export const pxe0: HostInterface = {
  name: 'pxe0',
  index: 2,
  up: true,
  carrier: true,
  loopback: false,
  addresses: [
    { address: '10.11.0.1', prefix: 24, family: 'inet', scope: 'global' },
    { address: 'fd77::1', prefix: 64, family: 'inet6', scope: 'global' },
    { address: 'fe80::1', prefix: 64, family: 'inet6', scope: 'link' },
  ],
};

export const eth0: HostInterface = {
  ...pxe0,
  name: 'eth0',
  index: 3,
  addresses: [{ address: '192.0.2.2', prefix: 24, family: 'inet', scope: 'global' }],
};

/** A host on which everything is as it should be. */
export const host: HostNetwork = { interfaces: [pxe0, eth0], defaultRoutes: ['eth0'], udp: [] };
