import assert from 'node:assert/strict';
import { parseMac } from '../../plugin-api/index.ts';
import type { Interface } from '../../src/core/network/interface.ts';
import { planInterfaces, type NetworkNumbers } from '../../src/core/network/interface-plan.ts';
import { interfacesJson } from '../../src/api/maas/shapes/interface.ts';

// `effective_mtu` told the MTU of the VLAN, but the deployed system never got it; and an interface for a tagged VLAN with a larger MTU stood on
// a NIC with the usual one, which Linux refuses.
describe('the MTU of a deployed machine', () => {
  const mac = parseMac('52:54:00:00:00:01');
  const vlan = (id: number, vid: number, mtu: number) =>
    [
      id,
      { id, fabric: 1, vid, name: '', description: '', mtu, dhcp_on: false, space: null, relay_vlan: null },
    ] as const;
  const vlans = new Map([vlan(10, 10, 1500), vlan(20, 20, 9000)]);
  const numbers: NetworkNumbers = {
    fabrics: new Map([[1, 'rack']]),
    vlans,
    subnets: new Map(),
    provisioning: new Set(),
  };
  const eth0: Interface = {
    id: 1,
    kind: 'physical',
    name: 'eth0',
    mac,
    vlan: 10,
    parents: [],
    enabled: true,
    tags: [],
    params: {},
    links: [{ id: 1, mode: 'dhcp', subnet: null, address: null }],
  };
  const tagged: Interface = { ...eth0, id: 2, kind: 'vlan', name: 'eth0.20', vlan: 20, parents: [1] };
  const planned = (interfaces: readonly Interface[]) =>
    planInterfaces(interfaces, numbers, [{ mac, fabric: 'rack' }], true).plan.map(({ mtu }) => mtu);
  const told = (interfaces: readonly Interface[]) =>
    interfacesJson('abc', interfaces, [], {
      vlan: (id) => ({ mtu: vlans.get(id)!.mtu }) as never,
      subnet: () => null,
    }).map(({ effective_mtu: mtu }) => mtu);

  it('is that of its VLAN, where the interface says none', () => {
    const jumbo = { ...eth0, vlan: 20 };
    assert.deepEqual([planned([jumbo]), told([jumbo])], [[9000], [9000]]);
    const own = { ...jumbo, params: { mtu: 1400 } };
    assert.deepEqual([planned([own]), told([own])], [[1400], [1400]]);
    assert.deepEqual([planned([eth0]), told([eth0])], [[undefined], [1500]]);
  });

  it('is as large below as it is above', () => {
    assert.deepEqual(
      [planned([eth0, tagged]), told([eth0, tagged])],
      [
        [9000, 9000],
        [9000, 9000],
      ],
    );
    const said = { ...tagged, vlan: 20, params: { mtu: 4000 } };
    assert.deepEqual([planned([eth0, said]), told([eth0, said])][0], [4000, 4000]);
  });
});
