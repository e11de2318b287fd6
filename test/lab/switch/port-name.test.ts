import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  comparePorts,
  groupPorts,
  portList,
  portName,
  vlanList,
  writeVlans,
} from '../../../lab/switch/os9-port-name.ts';

describe('lab switch: port names', () => {
  it('reads every spelling of one port alike', () => {
    for (const text of ['Te 1/1', 'te1/1', 'TENGIGABITETHERNET 1/1', 'tengig 1/1'])
      assert.equal(portName(text), 'TenGigabitEthernet 1/1', text);
    assert.equal(portName('fo 0/48'), 'fortyGigE 0/48');
    assert.equal(portName('po1'), 'Port-channel 1');
  });

  it('reads what is no port as none', () => {
    for (const text of ['', '1/1', 'Xx 1/1', 'Te 1', 'Po 1/1', 'Te 1/1,1/2', 'Te 1/1x', 't 1/1'])
      assert.equal(portName(text), null, text);
  });

  it('reads lists in both range grammars', () => {
    const wanted = [1, 2, 3, 6].map((n) => `TenGigabitEthernet 1/${n}`);
    assert.deepEqual(portList('te 1/1-3,6'), wanted);
    assert.deepEqual(portList('te 1/1-1/3,1/6'), wanted);
    assert.deepEqual(portList('te 1/1, te 1/2, te 1/3, te 1/6'), wanted);
    assert.equal(portList('te 1/3-1'), null);
  });

  it('writes the recorded lists of the old grammar', () => {
    // ntc-templates, dell_force10_show_vlan_1.raw, VLANs 12 and 330.
    const written = (text: string): string => groupPorts(portList(text)!, 'old')[0]!.ids;
    assert.equal(written('te 0/0-9,45-47'), '0/0-9,45-47');
    assert.equal(written('te 0/30,35-37'), '0/30,35-37');
    assert.equal(written('te 0/42-43'), '0/42-43');
  });

  it('writes the new grammar with the unit on both ends', () => {
    assert.equal(groupPorts(portList('te 1/11-16,18,31,32')!, 'new')[0]!.ids, '1/11-1/16,1/18,1/31,1/32');
  });

  it('reads back what it writes, in both grammars', () => {
    const port = fc
      .tuple(
        fc.constantFrom('TenGigabitEthernet', 'fortyGigE', 'hundredGigE'),
        fc.array(fc.nat(3), { minLength: 1, maxLength: 2 }),
        fc.nat(40),
      )
      .map(([type, prefix, n]) => `${type} ${[...prefix, n].join('/')}`);
    fc.assert(
      fc.property(
        fc.uniqueArray(port, { minLength: 1 }),
        fc.constantFrom('old' as const, 'new' as const),
        (ports, grammar) => {
          const groups = groupPorts(ports, grammar);
          const read = groups.flatMap(({ type, ids }) => portList(`${type} ${ids}`)!);
          assert.deepEqual(read, [...ports].sort(comparePorts));
        },
      ),
    );
  });

  it('reads back VLAN lists', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 4094 }), { minLength: 1 }), (ids) => {
        const sorted = [...ids].sort((a, b) => a - b);
        assert.deepEqual(vlanList(writeVlans(sorted)), sorted);
      }),
    );
    assert.equal(vlanList('0'), null);
    assert.equal(vlanList('4095'), null);
  });
});
