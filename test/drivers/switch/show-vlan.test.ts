import { deepEqual, equal, throws } from 'node:assert/strict';
import {
  lagOf,
  membersOf,
  parseShowVlan,
  taggedVlansOf,
  untaggedVlansOf,
} from '../../../src/drivers/switch/force10-cli/show-vlan.ts';
import { DeviceError, os9PortId, parseVlanId } from '../../../plugin-api/index.ts';
import { os9Fixture } from './fixture.ts';

const port = os9PortId;

describe('show vlan', () => {
  const table = parseShowVlan(os9Fixture('show-vlan-9.14.txt'));
  const old = parseShowVlan(os9Fixture('show-vlan-8.3.txt'));

  it('finds every VLAN with its description, and the default VLAN by its mark', () => {
    deepEqual(
      [...table.vlans.values()].map((row) => [row.id, row.description]),
      [
        [1, ''],
        [10, 'pxe # do not touch >'],
        [100, 'csbm-100'],
        [200, 'csbm-200'],
        [300, 'a description as long as it gets'],
        [400, 'U Te 1/1 is written in this one, oddly'],
        [500, ''],
        [600, 'tor-a(conf)#'],
        [4094, ''],
      ],
    );
    equal(table.defaultVlan, 1);
    equal(old.defaultVlan, 99);
  });

  it('reads ranges whose numbers are whole', () => {
    const untagged = [['1/1', 100], ['1/3', 100], ['1/5', 10], ['1/8', 10], ['1/22', 1], ['1/31', 1]] as const; // prettier-ignore
    for (const [name, vlan] of untagged) deepEqual(untaggedVlansOf(table, port(`Te ${name}`)), [vlan], name);
    for (const name of ['1/4', '1/9', '1/19', '1/25'])
      deepEqual(untaggedVlansOf(table, port(`Te ${name}`)), [], name);
    deepEqual(taggedVlansOf(table, port('Te 1/1')), [200]);
    deepEqual(taggedVlansOf(table, port('Te 1/13')), [200]);
    deepEqual(taggedVlansOf(table, port('Te 1/17')), []);
    deepEqual(taggedVlansOf(table, port('Te 1/2')), [300]);
    deepEqual(taggedVlansOf(table, port('Hu 1/54')), [500]);
  });

  it('reads ranges in which the unit sticks, also beyond the end of a line', () => {
    deepEqual(untaggedVlansOf(old, port('Te 0/0')), [12]);
    deepEqual(untaggedVlansOf(old, port('Te 0/46')), [12]);
    deepEqual(untaggedVlansOf(old, port('Fo 0/56')), [99]);
    deepEqual(untaggedVlansOf(old, port('Te 0/56')), []);
    deepEqual(taggedVlansOf(old, port('Te 0/36')), [330]);
    deepEqual(taggedVlansOf(old, port('Te 0/41')), [330]);
    deepEqual(taggedVlansOf(old, port('Po 2')), [330]);
    deepEqual(taggedVlansOf(old, port('Po 4')), []);
  });

  it('reads lanes of split ports', () => {
    deepEqual(taggedVlansOf(table, port('Te 1/50/3')), [500]);
    deepEqual(taggedVlansOf(table, port('Te 1/52/2')), [500]);
    deepEqual(taggedVlansOf(table, port('Te 1/52/1')), []);
  });

  it('takes a LAG as the member, and knows who belongs to it', () => {
    deepEqual(taggedVlansOf(table, port('Po 1')), [10, 100, 200]);
    deepEqual(taggedVlansOf(table, port('Te 1/47')), []);
    equal(lagOf(table, port('Te 1/48')), 'Port-channel 1');
    equal(lagOf(table, port('Te 1/40')), 'Port-channel 7');
    equal(lagOf(table, port('Te 1/1')), null);
  });

  it('lists the members of a VLAN', () => {
    deepEqual(membersOf(table.vlans.get(parseVlanId(100))!), [
      'TenGigabitEthernet 1/1',
      'TenGigabitEthernet 1/3',
      'TenGigabitEthernet 1/9',
      'Port-channel 1',
    ]);
    equal(membersOf(old.vlans.get(parseVlanId(12))!).length, 13);
    deepEqual(membersOf(table.vlans.get(parseVlanId(400))!), []);
  });

  it('reads a switch without members, and skips log lines', () => {
    const lines = os9Fixture('show-vlan-empty.txt');
    deepEqual([...parseShowVlan(lines).vlans.keys()], [1]);
    const noisy = [...lines];
    noisy.splice(
      -1,
      0,
      'Mar 30 20:20:41: %STKUNIT0-M:CP %IFMGR-5-OSTATE_UP: Changed interface state to up: Te 1/1',
    );
    deepEqual(parseShowVlan(noisy), parseShowVlan(lines));
  });

  it('refuses what it does not understand instead of overlooking a member', () => {
    const broken = [
      ['% Error: Invalid input at "^" marker.'],
      [
        ...os9Fixture('show-vlan-empty.txt'),
        '    20     Active                                    U Te one/two',
      ],
      [...os9Fixture('show-vlan-empty.txt'), 'something else'],
      [...os9Fixture('show-vlan-empty.txt'), '                                                     Z Te 1/1'],
    ];
    for (const lines of broken)
      throws(
        () => parseShowVlan(lines),
        (error) => error instanceof DeviceError && error.code === 'switch.protocol',
        lines.at(-1),
      );
  });
});
