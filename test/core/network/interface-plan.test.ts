import assert from 'node:assert/strict';
import fc from 'fast-check';
import { CodedError, parseMac, type JsonObject, type Mac } from '../../../plugin-api/index.ts';
import type { Interface, InterfaceLink } from '../../../src/core/network/interface.ts';
import {
  planInterfaces,
  type NetworkNumbers,
  type PlannedInterfaces,
  type UsableNic,
} from '../../../src/core/network/interface-plan.ts';

const mac = (n: number): Mac => parseMac(`52:54:00:00:00:${n.toString(16).padStart(2, '0')}`);
const usable = (count: number, fabric: string | null = 'rack'): readonly UsableNic[] =>
  Array.from({ length: count }, (_, n) => ({ mac: mac(n + 1), fabric }));

/** Record numbers are a thousand and the VLAN; 1 = untagged, 2 = explicit provisioning VLAN 100, 9000 = VLAN 200 of another fabric. */
const vids = [0, 100, 200, 201, 300];
const number = (vid: number): number => (vid === 0 ? 1 : vid === 100 ? 2 : 1000 + vid);
const vlan = (id: number, fabric: number, vid: number) =>
  [
    id,
    { id, fabric, vid, name: '', description: '', mtu: 1500, dhcp_on: false, space: null, relay_vlan: null },
  ] as const;
const numbers: NetworkNumbers = {
  fabrics: new Map([
    [1, 'rack'],
    [2, 'elsewhere'],
  ]),
  vlans: new Map([...vids.map((vid) => vlan(number(vid), 1, vid)), vlan(9000, 2, 200)]),
  subnets: new Map(
    [200, 201].map((vid) => [
      vid,
      {
        id: vid,
        vlan: number(vid),
        cidr: `10.0.${vid}.0/24`,
        name: '',
        gateway_ip: `10.0.${vid}.1`,
        dns_servers: ['10.0.0.53'],
      },
    ]),
  ),
  provisioning: new Set([1, 2]),
};

const dhcp = (id = 1): InterfaceLink => ({ id, mode: 'dhcp', subnet: null, address: null });
const fixed = (subnet: number, host: number): InterfaceLink => ({
  id: subnet,
  mode: 'static',
  subnet,
  address: `10.0.${subnet}.${host}`,
});

function nic(id: number, vid: number | null, links: readonly InterfaceLink[] = []): Interface {
  return {
    id,
    kind: 'physical',
    name: `eth${id - 1}`,
    mac: mac(id),
    vlan: vid === null ? null : number(vid),
    parents: [],
    enabled: true,
    tags: [],
    params: {},
    links,
  };
}
const bond = (id: number, parents: readonly number[], vid: number, params: JsonObject = {}): Interface => ({
  ...nic(id, vid, [dhcp()]),
  kind: 'bond',
  name: `bond${id}`,
  mac: mac(parents[0] ?? 1),
  parents,
  params,
});
const child = (id: number, parent: number, vid: number, links = [dhcp()]): Interface => ({
  ...nic(id, vid, links),
  kind: 'vlan',
  name: `on${parent}.${vid}`,
  mac: mac(parent),
  parents: [parent],
});

const plan = (interfaces: readonly Interface[], nics = usable(2), canBond = true): PlannedInterfaces =>
  planInterfaces(interfaces, numbers, nics, canBond);

function refusal(interfaces: readonly Interface[], nics = usable(2), canBond = true): string {
  try {
    plan(interfaces, nics, canBond);
  } catch (error) {
    assert.ok(error instanceof CodedError, String(error));
    return `${error.code}: ${error.message}`;
  }
  return 'planned';
}

describe('a NIC plan from the interfaces of a machine', () => {
  it('one NIC with DHCP in a VLAN; the other, without an address, is left out', () => {
    assert.deepEqual(plan([nic(1, 200, [dhcp()]), nic(2, 0, [])]), {
      plan: [{ kind: 'nic', name: 'eth0', hardware: mac(1), mac: mac(1), dhcp: true }],
      inUse: [mac(1)],
      leftOut: [mac(2)],
      native: 200,
      tagged: [],
    });
  });

  it('a bond without a mode fails over; VLAN interfaces on it are tagged', () => {
    const planned = plan([
      nic(1, 200),
      nic(2, 200),
      bond(3, [1, 2], 200),
      child(4, 3, 300),
      child(5, 3, 201),
    ]);
    assert.deepEqual(
      planned.plan.map((entry) => [entry.kind, entry.name, entry.kind === 'bond' && entry.mode]),
      [
        ['bond', 'bond3', 'active-backup'],
        ['vlan', 'on3.300', false],
        ['vlan', 'on3.201', false],
      ],
    );
    assert.deepEqual([planned.native, planned.tagged, planned.leftOut], [200, [201, 300], []]);
  });

  it('a NIC that carries VLAN interfaces only has nothing untagged', () => {
    const planned = plan([nic(1, 0), child(2, 1, 200)]);
    assert.deepEqual([planned.native, planned.tagged, planned.inUse], [null, [200], [mac(1)]]);
    assert.equal(planned.plan[0]!.dhcp, false);
  });

  it('the untagged VLAN and an explicit provisioning VLAN are both the provisioning network', () => {
    for (const vid of [0, 100]) assert.equal(plan([nic(1, vid, [dhcp()])]).native, 'provisioning');
  });

  it('fixed addresses come with prefix, name servers, and one default route in all', () => {
    const planned = plan([nic(1, 200, [fixed(200, 5)]), child(3, 1, 201, [fixed(201, 6)])]);
    assert.deepEqual(
      planned.plan.map(({ dhcp: asks, addresses, gateways, nameservers }) => [
        asks,
        addresses,
        gateways,
        nameservers,
      ]),
      [
        [false, ['10.0.200.5/24'], ['10.0.200.1'], ['10.0.0.53']],
        [false, ['10.0.201.6/24'], undefined, ['10.0.0.53']],
      ],
    );
  });

  it('the default route is that of the chosen link', () => {
    const drawn = [nic(1, 200, [fixed(200, 5)]), child(3, 1, 201, [fixed(201, 6)])];
    const { plan: planned } = planInterfaces(drawn, numbers, usable(2), true, [201]);
    assert.deepEqual(
      planned.map(({ gateways }) => gateways),
      [undefined, ['10.0.201.1']],
    );
  });

  it('MAAS’s parameters of a bond are kept where its mode heeds them', () => {
    const params = { bond_mode: 'balance-tlb', bond_miimon: '50', bond_lacp_rate: 'fast', mtu: 9000 };
    const [entry] = plan([nic(1, 200), nic(2, 200), bond(3, [1, 2], 200, params)]).plan;
    assert.ok(entry?.kind === 'bond');
    assert.deepEqual(
      [entry.mode, entry.miimon, entry.lacpRate, entry.mtu],
      ['balance-tlb', 50, undefined, 9000],
    );
  });

  it('802.3ad is for switches that somebody else configures', () => {
    const drawn = [
      nic(1, 200),
      nic(2, 200),
      bond(3, [1, 2], 200, { bond_mode: '802.3ad', bond_lacp_rate: 'slow' }),
    ];
    assert.match(refusal(drawn), /^network\.interfaces: .*port-channels/);
    const [entry] = plan(drawn, usable(2, null)).plan;
    assert.ok(entry?.kind === 'bond' && entry.mode === '802.3ad' && entry.lacpRate === 'slow');
  });

  const refused: readonly (readonly [
    string,
    RegExp,
    readonly Interface[],
    (readonly UsableNic[])?,
    boolean?,
  ])[] = [
    ['nothing has an address', /no interface has an address/, [nic(1, 200), nic(2, 200)]],
    [
      'two NICs are untagged in two VLANs',
      /eth1: it is untagged in VLAN 201, and eth0 in VLAN 200/,
      [nic(1, 200, [dhcp()]), nic(2, 201, [dhcp()])],
    ],
    [
      'a bond is over a NIC without a wire',
      /eth1: its MAC .* is not that of a connected NIC/,
      [nic(1, 200), nic(2, 200), bond(3, [1, 2], 200)],
      usable(1),
    ],
    [
      'the image cannot bond',
      /bond3: the image cannot bond/,
      [nic(1, 200), nic(2, 200), bond(3, [1, 2], 200)],
      usable(2),
      false,
    ],
    [
      'a NIC is in two bonds',
      /bond4: a NIC of it is in bond3 too/,
      [nic(1, 200), nic(2, 200), bond(3, [1, 2], 200), bond(4, [2], 200)],
    ],
    [
      'a NIC of a bond has an address',
      /eth0: it is in bond3/,
      [nic(1, 200, [dhcp()]), nic(2, 200), bond(3, [1, 2], 200)],
    ],
    [
      'a bond is over a bond',
      /bond4: a bond is over NICs/,
      [nic(1, 200), nic(2, 200), { ...bond(3, [1, 2], 200), links: [] }, bond(4, [3], 200)],
    ],
    [
      'a VLAN interface is on nothing',
      /on9\.201: a VLAN interface is on exactly one/,
      [nic(1, 200, [dhcp()]), child(2, 9, 201)],
    ],
    [
      'a VLAN interface is on a disabled NIC',
      /a VLAN interface is on exactly one/,
      [nic(1, 200, [dhcp()]), { ...nic(2, 200), enabled: false }, child(3, 2, 201)],
    ],
    [
      'a VLAN is tagged and untagged',
      /VLAN 200 is untagged on the ports already/,
      [nic(1, 200, [dhcp()]), child(2, 1, 200)],
    ],
    [
      'a link has a VLAN twice',
      /two interfaces in VLAN 201/,
      [nic(1, 200, [dhcp()]), child(2, 1, 201), { ...child(3, 1, 201), name: 'twin' }],
    ],
    [
      'the provisioning network is tagged',
      /the provisioning network cannot be tagged/,
      [nic(1, 200, [dhcp()]), child(2, 1, 100)],
    ],
    ['an address is in no VLAN', /eth0: it is in no VLAN/, [nic(1, null, [dhcp()])]],
    [
      'a VLAN is another fabric’s',
      /its VLAN is of the fabric elsewhere/,
      [{ ...nic(1, 200, [dhcp()]), vlan: 9000 }],
    ],
    [
      'ports are on two fabrics',
      /on fabrics rack and other/,
      [nic(1, 200), nic(2, 200), bond(3, [1, 2], 200)],
      [usable(1)[0]!, { mac: mac(2), fabric: 'other' }],
    ],
    ['a fixed address is of another VLAN’s subnet', /in another VLAN/, [nic(1, 201, [fixed(200, 5)])]],
    [
      'there is a bridge',
      /bridges are not made here/,
      [nic(1, 200, [dhcp()]), { ...nic(2, 200), kind: 'bridge', name: 'br0', parents: [1] }],
    ],
    [
      'a mode does not exist',
      /no bond mode "round"/,
      [nic(1, 200), nic(2, 200), bond(3, [1, 2], 200, { bond_mode: 'round' })],
    ],
    [
      'two interfaces have one name',
      /another interface has its name/,
      [nic(1, 200, [dhcp()]), { ...nic(2, 200), name: 'eth0' }],
    ],
    ['no NIC is wired', /no connected NIC/, [nic(1, 200, [dhcp()])], []],
  ];
  for (const [what, text, interfaces, nics, canBond] of refused)
    it(`is refused where ${what}`, () => assert.match(refusal(interfaces, nics, canBond), text));

  it('whatever is planned can be carried; whatever is not is refused with a code', () => {
    const link = fc.constantFrom<readonly InterfaceLink[]>(
      [],
      [dhcp()],
      [fixed(200, 5)],
      [dhcp(), fixed(201, 6)],
    );
    const vid = fc.constantFrom(...vids, null);
    const params = fc.constantFrom<JsonObject>(
      {},
      { bond_mode: '802.3ad' },
      { bond_mode: 'balance-rr' },
      { bond_mode: '__proto__' },
    );
    const one = (id: number): fc.Arbitrary<Interface> =>
      fc
        .record({
          kind: fc.constantFrom<Interface['kind']>('physical', 'physical', 'bond', 'vlan', 'bridge'),
          vid,
          links: link,
          parents: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 2 }),
          enabled: fc.boolean(),
          params,
          name: fc.constantFrom(`if${id}`, `if${id}`, 'toString'),
        })
        .map(({ vid: at, links, ...rest }) => ({
          ...nic(id, at),
          ...rest,
          links: links.map((one, index) => ({ ...one, id: id * 10 + index })),
          parents: rest.kind === 'physical' ? [] : rest.parents,
        }));
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 6 })
          .chain((count) => fc.tuple(...Array.from({ length: count }, (_, n) => one(n + 1)))),
        fc.integer({ min: 0, max: 4 }),
        fc.constantFrom('rack', null),
        fc.boolean(),
        (interfaces, nics, fabric, canBond) => {
          let planned: PlannedInterfaces;
          try {
            planned = planInterfaces(interfaces, numbers, usable(nics, fabric), canBond);
          } catch (error) {
            assert.ok(error instanceof CodedError && error.code !== 'internal.bug', String(error));
            return;
          }
          const macs = usable(nics).map((one) => one.mac);
          assert.deepEqual([...planned.inUse, ...planned.leftOut].sort(), [...macs].sort());
          assert.ok(planned.inUse.length > 0);
          const links = planned.plan.filter((entry) => entry.kind !== 'vlan');
          const hardware = links.flatMap((entry) =>
            entry.kind === 'bond' ? entry.members : [entry.hardware],
          );
          assert.deepEqual([...hardware].sort(), [...planned.inUse].sort(), 'each NIC in use is in one link');
          assert.equal(new Set(planned.plan.map((entry) => entry.name)).size, planned.plan.length);
          assert.ok(planned.plan.flatMap((entry) => entry.gateways ?? []).length <= 1);
          if (typeof planned.native === 'number') assert.ok(!planned.tagged.includes(planned.native));
          const tagged = planned.plan.flatMap((entry) => (entry.kind === 'vlan' ? [entry.vlan] : []));
          assert.deepEqual(
            [...new Set(tagged)].sort((a, b) => a - b),
            planned.tagged,
          );
          for (const entry of planned.plan) {
            if (entry.kind === 'vlan') assert.ok(links.some(({ name }) => name === entry.link));
            if (entry.kind === 'bond') assert.ok(canBond && !(fabric !== null && entry.mode === '802.3ad'));
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
