import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Fabric, type PortMembership, type Tag } from '../../../lab/network/index.ts';
import { FakeEndpoint, FakeService } from './fake-endpoint.ts';
import { FakeSwitch, port, shut } from './fake-switch.ts';

const nicPlaces = [
  { switch: 'a', port: 'nic' },
  { switch: 'b', port: 'nic' },
] as const;

/** Two switches with a trunk; the uplink is on switch a. */
function floor(ports: {
  aNic: PortMembership;
  aUp: PortMembership;
  aTrunk: PortMembership;
  bTrunk: PortMembership;
  bNic: PortMembership;
}) {
  const a = new FakeSwitch('a', { nic: ports.aNic, up: ports.aUp, trunk: ports.aTrunk });
  const b = new FakeSwitch('b', { nic: ports.bNic, trunk: ports.bTrunk });
  const link = { a: { switch: 'a', port: 'trunk' }, b: { switch: 'b', port: 'trunk' } };
  return { a, b, fabric: new Fabric([a, b], [link]) };
}

// The model: a frame is a number that each port on the one possible way turns into another, or loses.
type Lost = undefined;
const into = (p: PortMembership, tag: Tag | Lost): number | Lost => {
  if (tag === undefined || !p.up) return undefined;
  if (tag === null) return p.native ?? undefined;
  return p.tagged.includes(tag) ? tag : undefined;
};
const outOf = (p: PortMembership, vlan: number | Lost): Tag | Lost => {
  if (vlan === undefined || !p.up) return undefined;
  if (p.native === vlan) return null;
  return p.tagged.includes(vlan) ? vlan : undefined;
};

describe('reachability over the switches', () => {
  const vlan = fc.integer({ min: 1, max: 3 });
  const membership = fc.record({
    native: fc.option(vlan, { nil: null }),
    tagged: fc.uniqueArray(vlan, { maxLength: 3 }),
    up: fc.constant(true),
  });
  const anyPort = fc.oneof({ weight: 6, arbitrary: membership }, { weight: 1, arbitrary: fc.constant(shut) });
  const anyTag = fc.option(vlan, { nil: null });
  const anyFloor = fc.record({
    aNic: anyPort,
    aUp: anyPort,
    aTrunk: anyPort,
    bTrunk: anyPort,
    bNic: anyPort,
  });

  it('is what membership on every port of the way says, in both directions', () => {
    const seen = { reached: 0, lost: 0 };
    fc.assert(
      fc.property(anyFloor, anyTag, anyTag, (ports, tag, serviceTag) => {
        const { fabric } = floor(ports);
        const service = new FakeService('service', { switch: 'a', port: 'up' }, serviceTag);
        fabric.attach(service);
        for (const place of nicPlaces) {
          const nic = new FakeEndpoint('nic', place);
          fabric.attach(nic);
          const inside =
            place.switch === 'a'
              ? into(ports.aNic, tag)
              : into(ports.aTrunk, outOf(ports.bTrunk, into(ports.bNic, tag)));
          const expected = outOf(ports.aUp, inside) === serviceTag;
          const found = fabric.reachable(nic, service, tag);
          assert.equal(found.ok, expected, JSON.stringify(found));
          if (found.ok) seen.reached += 1;
          else seen.lost += 1;
          // What comes out at the far end goes back the same way, unless the tagged and untagged sets of a port overlap.
          const disjoint = Object.values(ports).every(
            (p) => p.native === null || !p.tagged.includes(p.native),
          );
          if (found.ok && disjoint) {
            assert.equal(fabric.reachable(service, nic, serviceTag).ok, true);
            assert.equal(fabric.reachable(service, nic, serviceTag).tag, tag);
          }
        }
      }),
      { numRuns: 2_000 },
    );
    assert.ok(seen.reached > 50 && seen.lost > 50, JSON.stringify(seen));
  });

  const good = {
    aNic: port(100),
    aUp: port(1, 100),
    aTrunk: port(1, 100),
    bTrunk: port(1, 100),
    bNic: port(100),
  };
  const breaks: readonly (readonly [string, Partial<typeof good>, RegExp])[] = [
    ['membership on its own port', { bNic: port(null, 100) }, /b nic: untagged frames have no VLAN here/],
    ['its port being up', { bNic: shut }, /b nic: port is shut/],
    ['membership on the near end of the trunk', { bTrunk: port(1) }, /b trunk: not a member of VLAN 100/],
    [
      'membership on the far end of the trunk',
      { aTrunk: port(1) },
      /a trunk: not a tagged member of VLAN 100/,
    ],
    ['membership on the uplink', { aUp: port(1) }, /a up: not a member of VLAN 100/],
    ['the uplink being up', { aUp: shut }, /a up: port is shut/],
  ];
  for (const [what, change, said] of breaks) {
    it(`of the second switch's NIC needs ${what}`, () => {
      const reach = (ports: typeof good) => {
        const { fabric } = floor(ports);
        return fabric.reachable(
          new FakeEndpoint('nic', { switch: 'b', port: 'nic' }),
          attached(fabric, new FakeService('service', { switch: 'a', port: 'up' }, 100)),
          null,
        );
      };
      assert.deepEqual(reach(good).path, [
        'b nic into VLAN 100',
        'b trunk out tagged 100',
        'a trunk into VLAN 100',
        'a up out tagged 100',
      ]);
      const broken = reach({ ...good, ...change });
      assert.equal(broken.ok, false);
      assert.match(broken.path.join('; '), said);
    });
  }

  it('ends where links form a loop', () => {
    const ports = { one: port(5), two: port(5), nic: port(5) };
    const a = new FakeSwitch('a', ports);
    const b = new FakeSwitch('b', ports);
    const fabric = new Fabric(
      [a, b],
      [
        { a: { switch: 'a', port: 'one' }, b: { switch: 'b', port: 'one' } },
        { a: { switch: 'a', port: 'two' }, b: { switch: 'b', port: 'two' } },
      ],
    );
    const far = attached(fabric, new FakeEndpoint('far', { switch: 'b', port: 'nic' }));
    assert.equal(
      fabric.reachable(new FakeEndpoint('near', { switch: 'a', port: 'nic' }), far, null).ok,
      true,
    );
  });
});

function attached<E extends FakeEndpoint>(fabric: Fabric, endpoint: E): E {
  fabric.attach(endpoint);
  return endpoint;
}
