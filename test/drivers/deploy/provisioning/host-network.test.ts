import assert from 'node:assert/strict';
import {
  parseDefaultRoutes,
  parseInterfaces,
  parseUdpSockets,
} from '../../../../src/drivers/deploy/native/provisioning/host-network.ts';

// Texts of iproute2 6.1, shortened.
describe('what iproute2 says of the network', () => {
  it('interfaces with their addresses', () => {
    const said = `[{"ifindex":2,"ifname":"pxe0","flags":["BROADCAST","MULTICAST","UP","LOWER_UP"],"operstate":"UP",
      "addr_info":[{"family":"inet","local":"10.11.0.1","prefixlen":24,"scope":"global","label":"pxe0"},
        {"family":"inet6","local":"fe80::a098:85ff:fe8c:f7a7","prefixlen":64,"scope":"link"}]},
      {},{"ifindex":7,"link":"eth0","ifname":"eth0.5","flags":["NO-CARRIER","UP"],"addr_info":[]}]`;
    const [first, second] = parseInterfaces(said.replace('{},', ''));
    assert.deepEqual(first, {
      name: 'pxe0',
      index: 2,
      up: true,
      carrier: true,
      loopback: false,
      addresses: [
        { address: '10.11.0.1', prefix: 24, family: 'inet', scope: 'global' },
        { address: 'fe80::a098:85ff:fe8c:f7a7', prefix: 64, family: 'inet6', scope: 'link' },
      ],
    });
    assert.deepEqual([second!.name, second!.up, second!.carrier], ['eth0.5', true, false]);
    assert.deepEqual(parseInterfaces(''), []);
  });

  it('default routes, those over several interfaces too', () => {
    const said = `[{"dst":"default","gateway":"192.0.2.1","dev":"eth0","flags":[]},
      {"dst":"default","flags":[],"nexthops":[{"gateway":"10.0.0.1","dev":"eth1","weight":1},{"dev":"eth2"}]}]`;
    assert.deepEqual(parseDefaultRoutes(said), ['eth0', 'eth1', 'eth2']);
    assert.deepEqual(parseDefaultRoutes(''), []);
  });

  it('UDP sockets with interface and owner', () => {
    const said = `UNCONN 0      0                          0.0.0.0%pxe0:67 0.0.0.0:* users:(("dnsmasq",pid=5109,fd=4))
UNCONN 0      0                             10.11.0.1:69 0.0.0.0:*
UNCONN 0      0      [fe80::a098:85ff:fe8c:f7a7]%pxe0:69    [::]:* users:(("in.tftpd",pid=7,fd=11),("x",pid=8,fd=1))
UNCONN 0      0                                  [::]:69    [::]:*
`;
    assert.deepEqual(parseUdpSockets(said), [
      { address: '0.0.0.0', device: 'pxe0', port: 67, owner: { program: 'dnsmasq', pid: 5109 } },
      { address: '10.11.0.1', device: null, port: 69, owner: null },
      {
        address: 'fe80::a098:85ff:fe8c:f7a7',
        device: 'pxe0',
        port: 69,
        owner: { program: 'in.tftpd', pid: 7 },
      },
      { address: '::', device: null, port: 69, owner: null },
    ]);
  });
});
