import assert from 'node:assert/strict';
import { CodedError, parseMac } from '../../plugin-api/index.ts';
import type { Interface } from '../../src/core/network/interface.ts';
import { planInterfaces, type NetworkNumbers } from '../../src/core/network/interface-plan.ts';

// A bond with a name that Linux does not take was deployed, and the machine came up without any network.
describe('the name of a bond', () => {
  const macs = ['52:54:00:00:00:01', '52:54:00:00:00:02'].map((text) => parseMac(text));
  const one = {
    fabric: 1,
    name: '',
    description: '',
    mtu: 1500,
    dhcp_on: false,
    space: null,
    relay_vlan: null,
  };
  const numbers: NetworkNumbers = {
    fabrics: new Map([[1, 'rack']]),
    vlans: new Map([10, 20].map((vid) => [vid, { ...one, id: vid, vid }])),
    subnets: new Map(),
    provisioning: new Set(),
  };
  const nic = (id: number): Interface => ({
    id,
    kind: 'physical',
    name: `eth${id}`,
    mac: macs[id - 1]!,
    vlan: 10,
    parents: [],
    enabled: true,
    tags: [],
    params: {},
    links: [],
  });
  const plan = (name: string) => {
    const links = [{ id: 1, mode: 'dhcp', subnet: null, address: null }] as const;
    const bond: Interface = { ...nic(1), id: 3, kind: 'bond', name, parents: [1, 2], links };
    const tagged: Interface = { ...nic(1), id: 4, kind: 'vlan', name: `${name}.20`, vlan: 20, parents: [3] };
    const usable = macs.map((mac) => ({ mac, fabric: 'rack' }));
    return planInterfaces([nic(1), nic(2), bond, tagged], numbers, usable, true).plan;
  };

  for (const name of ['bond-of-the-storage', 'bond:1', '.', '..'])
    it(`is refused before anything is touched where it is ${name}`, () => {
      assert.throws(
        () => plan(name),
        (thrown) =>
          thrown instanceof CodedError &&
          thrown.code === 'network.interfaces' &&
          thrown.message.includes(`interface ${name}: `),
      );
    });

  it('may be as long as Linux takes it; what stands on it is called by its VLAN then', () => {
    assert.deepEqual(
      plan('bond-of-storage').map(({ name }) => name),
      ['bond-of-storage', 'vlan20'],
    );
  });
});
