import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  InterfaceModel,
  InterfaceRefusal,
  type InterfaceNetwork,
  type NextNumbers,
} from '../../../src/core/network/interface-model.ts';
import { inventoriedInterfaces, type Interface } from '../../../src/core/network/interface.ts';
import { parseMac } from '../../../plugin-api/index.ts';

/** VLANs 1 and 2 are untagged ones of two fabrics, 3 and 4 tagged ones of the first; each has a subnet of its number times ten. */
const network: InterfaceNetwork = {
  vlanRecord: (id) => {
    const place = [
      [1, 0],
      [2, 0],
      [1, 200],
      [1, 201],
    ][id - 1];
    return place ? { id, fabric: place[0]!, vid: place[1]! } : null;
  },
  subnetRecord: (id) =>
    [10, 20, 30, 40].includes(id)
      ? { id, vlan: id / 10, cidr: `10.0.${id}.0/24`, gateway_ip: id === 10 ? `10.0.${id}.1` : null }
      : null,
};

const nics = [0, 1, 2, 3].map((i) => ({
  name: `eth${i}`,
  mac: parseMac(`52:54:00:00:00:0${i}`),
  linkUp: true,
  speedMbps: 1_000,
  neighbour: null,
}));

function model(
  interfaces: readonly Interface[] = inventoriedInterfaces({ nics }, 1, 10),
  numbers: NextNumbers | null = null,
  defaultBondMode: 'active-backup' | 'balance-rr' = 'active-backup',
): InterfaceModel {
  return new InterfaceModel({ interfaces, numbers, network, defaultBondMode });
}

function refuses(work: () => unknown, fields: Readonly<Record<string, readonly string[]>>): void {
  assert.throws(work, (error) => {
    assert.ok(error instanceof InterfaceRefusal, String(error));
    assert.deepEqual(error.fields, fields);
    return true;
  });
}

describe('interfaces of a machine, changed', () => {
  it('bonds NICs: active-backup, the first MAC, the common VLAN, one link; the NICs lose theirs', () => {
    const one = model();
    const bond = one.createBond({ name: 'bond0', parents: [1, 2] });
    assert.deepEqual(
      [bond.id, bond.mac, bond.vlan, bond.parents, bond.links.map(({ mode }) => mode)],
      [5, nics[0]!.mac, 1, [1, 2], ['link_up']],
    );
    assert.deepEqual(bond.params, {
      bond_mode: 'active-backup',
      bond_miimon: 100,
      bond_downdelay: 0,
      bond_updelay: 0,
      bond_num_grat_arp: 1,
      bond_lacp_rate: 'fast',
      bond_xmit_hash_policy: 'layer2',
    });
    assert.deepEqual([one.find(1)!.links, one.find(2)!.links], [[], []]);
    assert.equal(one.find(3)!.links.length, 1);
  });

  it('gives a bond without a mode what MAAS gives it, where that is asked for', () => {
    const one = model(undefined, null, 'balance-rr');
    assert.equal(one.createBond({ name: 'bond0', parents: [1] }).params['bond_mode'], 'balance-rr');
  });

  it('echoes what was said of a bond', () => {
    const params = { bond_mode: '802.3ad', bond_lacp_rate: 'slow', bond_miimon: '250', mtu: '9000' };
    const bond = model().createBond({ name: 'b', parents: [1, 2], mac: '01:12:34:56:78:9A', params });
    assert.equal(bond.mac, '01:12:34:56:78:9A');
    const { bond_mode, bond_lacp_rate, bond_miimon, mtu } = bond.params;
    assert.deepEqual([bond_mode, bond_lacp_rate, bond_miimon, mtu], ['802.3ad', 'slow', 250, 9000]);
  });

  it('refuses bonds that cannot be', () => {
    const one = model();
    refuses(() => one.createBond({ parents: [1] }), { name: ['This field is required.'] });
    refuses(() => one.createBond({ name: 'b' }), {
      parents: ['A bond interface must have one or more parents.'],
    });
    refuses(() => one.createBond({ name: 'b', parents: [9] }), {
      parents: ['Select a valid choice. 9 is not one of the available choices.'],
    });
    refuses(() => one.createBond({ name: 'eth3', parents: [1] }), {
      name: ["Node already has an interface named 'eth3'."],
    });
    refuses(() => one.createBond({ name: 'b', parents: [1], params: { bond_mode: 'fast' } }), {
      bond_mode: ['Select a valid choice. fast is not one of the available choices.'],
    });
    refuses(() => one.createBond({ name: 'b', parents: [1], params: { bond_num_grat_arp: '256' } }), {
      bond_num_grat_arp: ['Ensure this value is less than or equal to 255.'],
    });
    one.update(4, { vlan: 2 });
    refuses(() => one.createBond({ name: 'b', parents: [1, 4] }), {
      parents: ['All parents must belong to the same VLAN.'],
    });
    one.createBond({ name: 'b', parents: [1, 2] });
    refuses(() => one.createBond({ name: 'c', parents: [2, 3] }), {
      parents: ['Interfaces already in-use: eth1.'],
    });
    assert.equal(one.interfaces.length, 5);
  });

  it('names VLAN interfaces by what they stand on, also after that is renamed', () => {
    const one = model();
    const bond = one.createBond({ name: 'bond0', parents: [1, 2] });
    const vlan = one.createVlan({ parents: [bond.id], vlan: 3 });
    assert.deepEqual([vlan.name, vlan.mac, vlan.vlan], ['bond0.200', bond.mac, 3]);
    one.update(bond.id, { name: 'lag' });
    assert.equal(one.find(vlan.id)!.name, 'lag.200');
    refuses(() => one.createVlan({ parents: [bond.id], vlan: 1 }), {
      vlan: ['A VLAN interface can only belong to a tagged VLAN.'],
    });
    refuses(() => one.createVlan({ parents: [1], vlan: 4 }), {
      parents: ["A VLAN interface can't have a parent that is already in a bond."],
    });
    refuses(() => one.createVlan({ parents: [vlan.id], vlan: 4 }), {
      parents: ["VLAN interface can't have another VLAN interface as parent."],
    });
    refuses(() => one.createVlan({ parents: [3, 4], vlan: 4 }), {
      parents: ['A VLAN interface must have exactly one parent.'],
    });
  });

  it('takes away with an interface what stood on it alone, and never gives its number again', () => {
    const one = model();
    const bond = one.createBond({ name: 'bond0', parents: [1, 2] });
    const vlan = one.createVlan({ parents: [bond.id], vlan: 3 });
    one.delete(bond.id);
    assert.deepEqual(
      one.interfaces.map(({ id }) => id),
      [1, 2, 3, 4],
    );
    assert.deepEqual(
      one.find(1)!.links.map(({ mode }) => mode),
      ['link_up'],
    );
    assert.ok(one.createBond({ name: 'bond0', parents: [1, 2] }).id > vlan.id);
    const later = model(one.interfaces.slice(0, 4), one.numbers);
    assert.ok(later.createBond({ name: 'bond1', parents: [1] }).id > vlan.id + 1);
  });

  it('keeps a bond that has lost one of its NICs', () => {
    const one = model();
    const bond = one.createBond({ name: 'bond0', parents: [1, 2] });
    one.delete(1);
    assert.deepEqual(one.find(bond.id)!.parents, [2]);
  });

  it('links as CloudStack’s plugin does: unlink, DHCP by force; LINK_UP by force on the others', () => {
    const one = model();
    const [boot] = one.find(1)!.links;
    one.unlinkSubnet(1, boot!.id);
    assert.deepEqual(
      one.find(1)!.links.map(({ mode }) => mode),
      ['link_up'],
    );
    const linked = one.linkSubnet(1, { mode: 'DHCP', subnet: 10, force: true });
    assert.deepEqual(
      linked.links.map(({ mode, subnet }) => [mode, subnet]),
      [['dhcp', 10]],
    );
    const other = one.linkSubnet(2, { mode: 'LINK_UP', subnet: 10, force: true });
    assert.deepEqual(
      other.links.map(({ mode, subnet }) => [mode, subnet]),
      [['link_up', 10]],
    );
  });

  it('refuses links that cannot be', () => {
    const one = model();
    refuses(() => one.linkSubnet(1, {}), { mode: ['This field is required.'] });
    refuses(() => one.linkSubnet(1, { mode: 'fixed' }), {
      mode: ['Select a valid choice. fixed is not one of the available choices.'],
    });
    refuses(() => one.linkSubnet(1, { mode: 'STATIC' }), { subnet: ['This field is required.'] });
    refuses(() => one.linkSubnet(1, { mode: 'static', subnet: 10, address: '10.9.9.9' }), {
      ip_address: ["IP address is not in the given subnet '10.0.10.0/24'."],
    });
    const wrongVlan = { subnet: ['Select a valid choice. That choice is not one of the available choices.'] };
    refuses(() => one.linkSubnet(1, { mode: 'DHCP', subnet: 20 }), wrongVlan);
    refuses(() => one.linkSubnet(1, { mode: 'DHCP', subnet: 99 }), wrongVlan);
    one.linkSubnet(1, { mode: 'DHCP', subnet: 10 });
    refuses(() => one.linkSubnet(1, { mode: 'DHCP', subnet: 10 }), {
      mode: ["Interface is already set to DHCP from '10.0.10.0/24'."],
    });
    refuses(() => one.unlinkSubnet(2, 9), {
      id: ["'9' is not a valid id.  It should be one of: '2'."],
    });
    refuses(() => one.unlinkSubnet(2, undefined), { id: ['This field is required.'] });
    one.createBond({ name: 'bond0', parents: [3, 4] });
    refuses(() => one.linkSubnet(3, { mode: 'DHCP' }), {
      bond: ['Cannot link interface(eth2) when interface is in a bond(bond0).'],
    });
  });

  it('moves a bond with its NICs into the VLAN of a subnet, by force', () => {
    const one = model();
    const bond = one.createBond({ name: 'bond0', parents: [1, 2] });
    const moved = one.linkSubnet(bond.id, { mode: 'DHCP', subnet: 30, force: true });
    assert.deepEqual([moved.vlan, one.find(1)!.vlan, one.find(2)!.vlan, one.find(3)!.vlan], [3, 3, 3, 1]);
  });

  it('disconnects, and drops links when the VLAN changes', () => {
    const one = model();
    assert.deepEqual(
      [one.update(1, { vlan: 2 }).links.map(({ mode }) => mode), one.disconnect(2).links, one.find(2)!.vlan],
      [['link_up'], [], null],
    );
  });

  it('finds the link of the default gateway', () => {
    const one = model();
    const linked = one.linkSubnet(1, { mode: 'static', subnet: 10, address: '10.0.10.5', force: true });
    assert.deepEqual(one.defaultGateway(1, undefined), { link: linked.links[0]!.id, family: 4 });
    refuses(() => one.defaultGateway(2, undefined), { __all__: ['This interface has no usable gateways.'] });
    refuses(() => one.linkSubnet(2, { mode: 'static', subnet: 10, address: '10.0.10.5' }), {
      ip_address: ['IP address is already in use.'],
    });
  });

  it('keeps the spelling of a MAC, and knows it in any', () => {
    const one = model();
    assert.equal(one.createPhysical({ mac: 'AA:BB:CC:00:00:01' }).mac, 'AA:BB:CC:00:00:01');
    refuses(() => one.createPhysical({ mac: 'aa:bb:cc:00:00:01' }), {
      mac_address: ['This MAC address is already in use by this machine.'],
    });
    refuses(() => one.createPhysical({}), { mac_address: ['This field is required.'] });
    refuses(() => one.createPhysical({ mac: 'x' }), {
      mac_address: ["'x' is not a valid MAC address."],
    });
  });

  it('stays in order whatever is done to it, and gives no number twice', () => {
    const id = fc.integer({ min: 1, max: 12 });
    const name = fc.constantFrom(undefined, 'bond0', 'bond1', 'eth0', 'br0', '__proto__', 'toString', '');
    const vlan = fc.constantFrom(undefined, null, 1, 2, 3, 4, 9);
    const params = fc.dictionary(
      fc.constantFrom('bond_mode', 'mtu', '__proto__', 'constructor'),
      fc.string(),
    );
    const order = fc.record({ name, vlan, parents: fc.array(id, { maxLength: 3 }), params });
    const link = fc.record({
      mode: fc.constantFrom('dhcp', 'AUTO', 'static', 'link_up', 'x'),
      subnet: fc.constantFrom(undefined, 10, 20, 30, 40, 99),
      address: fc.constantFrom(undefined, '10.0.10.7', '10.0.30.7'),
      force: fc.boolean(),
    });
    type Change = (one: InterfaceModel) => unknown;
    const change: fc.Arbitrary<Change> = fc.oneof(
      order.map(
        (o): Change =>
          (one) =>
            one.createBond(o),
      ),
      order.map(
        (o): Change =>
          (one) =>
            one.createVlan(o),
      ),
      order.map(
        (o): Change =>
          (one) =>
            one.createBridge(o),
      ),
      fc.nat(30).map(
        (n): Change =>
          (one) =>
            one.createPhysical({ mac: `52:54:00:00:01:${String(n + 10)}` }),
      ),
      fc.tuple(id, order).map(
        ([at, o]): Change =>
          (one) =>
            one.update(at, o),
      ),
      fc.tuple(id, order).map(
        ([at, { vlan: to }]): Change =>
          (one) =>
            one.update(at, { vlan: to }),
      ),
      id.map(
        (at): Change =>
          (one) =>
            one.delete(at),
      ),
      fc.tuple(id, link).map(
        ([at, l]): Change =>
          (one) =>
            one.linkSubnet(at, l),
      ),
      fc.tuple(id, id).map(
        ([at, l]): Change =>
          (one) =>
            one.unlinkSubnet(at, l),
      ),
      id.map(
        (at): Change =>
          (one) =>
            one.disconnect(at),
      ),
    );
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        let one = model();
        const born = new Map<number, Interface['kind']>(one.interfaces.map(({ id: at, kind }) => [at, kind]));
        const links = new Set<number>();
        for (const [index, work] of changes.entries()) {
          const before = one.interfaces;
          try {
            work(one);
          } catch (thrown) {
            if (!(thrown instanceof InterfaceRefusal)) throw thrown;
            assert.deepEqual(one.interfaces, before, 'a refusal changes nothing');
          }
          for (const { id: at, kind } of one.interfaces) {
            assert.equal(born.get(at) ?? kind, kind, 'a number is given once');
            if (!before.some((other) => other.id === at)) assert.ok(!born.has(at), `number ${at} came back`);
            born.set(at, kind);
          }
          const now = new Set(one.interfaces.flatMap((each) => each.links.map((l) => l.id)));
          const then = new Set(before.flatMap((each) => each.links.map((l) => l.id)));
          for (const l of now) assert.ok(then.has(l) || !links.has(l), `link ${l} came back`);
          for (const l of now) links.add(l);
          inOrder(one.interfaces);
          // As a request does it: read, change, keep.
          if (index % 3 === 0) one = model(one.interfaces, one.numbers);
        }
      }),
      { numRuns: 300 },
    );
  });
});

function inOrder(interfaces: readonly Interface[]): void {
  const byId = new Map(interfaces.map((one) => [one.id, one]));
  assert.equal(byId.size, interfaces.length, 'numbers are unique');
  assert.equal(new Set(interfaces.map(({ name }) => name)).size, interfaces.length, 'names are unique');
  const links = interfaces.flatMap((one) => one.links.map(({ id }) => id));
  assert.equal(new Set(links).size, links.length, 'numbers of links are unique');
  const below = (one: Interface, seen: readonly number[]): void => {
    for (const id of one.parents) {
      const parent = byId.get(id);
      assert.ok(parent, `${one.name} stands on something`);
      assert.ok(!seen.includes(id), `${one.name} stands in a circle`);
      below(parent, [...seen, id]);
    }
  };
  for (const one of interfaces) {
    below(one, [one.id]);
    const holders = interfaces.filter(
      (other) => (other.kind === 'bond' || other.kind === 'bridge') && other.parents.includes(one.id),
    );
    assert.ok(holders.length <= 1, `${one.name} is in one bond or bridge`);
    if (holders.length > 0)
      assert.equal(one.links.length, 0, `${one.name} has no links in ${holders[0]!.name}`);
    else if (one.vlan !== null) assert.ok(one.links.length > 0, `${one.name} has a link`);
    if (one.kind === 'physical') assert.equal(one.parents.length, 0);
    else assert.ok(one.parents.length > 0, `${one.name} stands on something`);
    if (one.kind === 'bond')
      for (const id of one.parents) assert.equal(byId.get(id)!.vlan, one.vlan, `${one.name} and its NICs`);
    if (one.kind === 'vlan') assert.ok(one.vlan !== null && one.parents.length === 1);
    for (const { mode, subnet, address } of one.links) {
      if (mode === 'static' || mode === 'auto') assert.ok(subnet !== null);
      assert.equal(mode === 'static', address !== null);
      if (subnet !== null) assert.equal(network.subnetRecord(subnet)!.vlan, one.vlan);
    }
  }
}
