import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseMac, parseVlanId, type Mac } from '../../../plugin-api/index.ts';
import { planNics, vlanOfUri, type InstanceNic } from '../../../src/core/network/nic-plan.ts';
import { ServiceError } from '../../../src/kernel/errors/service-error.ts';

const hw1 = parseMac('52:54:00:aa:00:01');
const hw2 = parseMac('52:54:00:aa:00:02');
const hw3 = parseMac('52:54:00:aa:00:03');
const nic = (deviceId: number, vlan: number, defaultNic = false): InstanceNic => ({
  mac: parseMac(`02:00:00:00:00:0${deviceId + 1}`),
  vlan: parseVlanId(vlan),
  defaultNic,
  deviceId,
});
const code = (wanted: string) => (error: unknown) => error instanceof ServiceError && error.code === wanted;

describe('NIC plan', () => {
  it('bonds all connected NICs and gives the default NIC’s MAC and DHCP to the bond', () => {
    const planned = planNics([hw1, hw2], [nic(0, 100, true)], true);
    assert.deepEqual(planned, {
      plan: [
        {
          kind: 'bond',
          name: 'bond0',
          mode: 'active-backup',
          members: [hw1, hw2],
          mac: '02:00:00:00:00:01',
          dhcp: true,
        },
      ],
      inUse: [hw1, hw2],
      leftOut: [],
      native: 100,
      tagged: [],
    });
  });

  it('uses the first connected NIC and leaves out the others when the image cannot bond', () => {
    const planned = planNics([hw1, hw2, hw3], [nic(0, 100, true)], false);
    assert.deepEqual(planned.plan, [
      { kind: 'nic', name: 'nic0', hardware: hw1, mac: '02:00:00:00:00:01', dhcp: true },
    ]);
    assert.deepEqual(planned.inUse, [hw1]);
    assert.deepEqual(planned.leftOut, [hw2, hw3]);
  });

  it('does not bond a single NIC', () => {
    assert.equal(planNics([hw2], [nic(0, 100, true)], true).plan[0]?.kind, 'nic');
  });

  it('makes every further NIC a VLAN interface with its own MAC and DHCP, in the order of device ids', () => {
    const planned = planNics([hw1, hw2], [nic(2, 150), nic(0, 200), nic(1, 100, true)], true);
    assert.deepEqual(planned.plan.slice(1), [
      { kind: 'vlan', name: 'vlan200', link: 'bond0', vlan: 200, mac: '02:00:00:00:00:01', dhcp: true },
      { kind: 'vlan', name: 'vlan150', link: 'bond0', vlan: 150, mac: '02:00:00:00:00:03', dhcp: true },
    ]);
    assert.equal(planned.native, 100);
    assert.deepEqual(planned.tagged, [150, 200]);
  });

  it('refuses an instance without exactly one default NIC', () => {
    assert.throws(() => planNics([hw1], [], true), code('network.no-default-nic'));
    assert.throws(() => planNics([hw1], [nic(0, 100)], true), code('network.no-default-nic'));
    assert.throws(
      () => planNics([hw1], [nic(0, 100, true), nic(1, 200, true)], true),
      code('network.no-default-nic'),
    );
  });

  it('refuses a VLAN or a MAC that two NICs share, and a machine without a connected NIC', () => {
    assert.throws(() => planNics([hw1], [nic(0, 100, true), nic(1, 100)], true), code('network.vlan-uri'));
    const twin = { ...nic(1, 200), mac: nic(0, 100).mac };
    assert.throws(() => planNics([hw1], [nic(0, 100, true), twin], true), code('request.invalid'));
    assert.throws(() => planNics([], [nic(0, 100, true)], true), code('wiring.none'));
  });

  it('puts every connected NIC either in use or aside, and every instance NIC into the plan', () => {
    const macs = fc.uniqueArray(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 6 });
    const vlans = fc.uniqueArray(fc.integer({ min: 1, max: 4094 }), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(macs, vlans, fc.nat(), fc.boolean(), (bytes, ids, pick, canBond) => {
        const connected = bytes.map((b) => parseMac(`52:54:00:00:00:${b.toString(16).padStart(2, '0')}`));
        const nics = ids.map((id, index) => nic(index, id, index === pick % ids.length));
        const planned = planNics(connected, nics, canBond);
        assert.deepEqual([...planned.inUse, ...planned.leftOut], connected);
        assert.deepEqual(planned.plan.map((e) => e.mac).sort(), nics.map((n) => n.mac).sort());
        assert.deepEqual([planned.native, ...planned.tagged].sort(), [...ids].sort());
        const used = planned.plan.flatMap((e): readonly Mac[] =>
          e.kind === 'bond' ? e.members : e.kind === 'nic' ? [e.hardware] : [],
        );
        assert.deepEqual(used, planned.inUse);
        const links = new Set(planned.plan.map((e) => e.name));
        assert.equal(links.size, planned.plan.length);
        assert.ok(planned.plan.every((e) => e.kind !== 'vlan' || e.link === planned.plan[0]!.name));
      }),
    );
  });
});

describe('VLAN of a broadcast URI', () => {
  it('reads vlan://N', () => {
    assert.equal(vlanOfUri('vlan://100'), 100);
    assert.equal(vlanOfUri(' vlan://4094 '), 4094);
  });

  for (const uri of [
    null,
    undefined,
    '',
    'vlan://untagged',
    'vlan://0',
    'vlan://4095',
    'vlan://99999',
    'vlan://1-2',
    'vlan://100/x',
    'vlan://0100',
    'vxlan://100',
    'lswitch:100',
    'pvlan://100-i200',
    '100',
  ]) {
    it(`refuses ${JSON.stringify(uri)}`, () => {
      assert.throws(() => vlanOfUri(uri), code('network.vlan-uri'));
    });
  }
});
