import { deepEqual, equal, match } from 'node:assert/strict';
import {
  parseLagMembership,
  parsePortConfig,
  parseVlanConfig,
} from '../../../src/drivers/switch/force10-cli/running-config.ts';
import { os9PortId } from '../../../plugin-api/index.ts';
import { os9Fixture } from './fixture.ts';

describe('show running-config interface', () => {
  it('reads a port to its end, sub-blocks included', () => {
    const lines = os9Fixture('running-config-port.txt');
    deepEqual(parsePortConfig(lines, os9PortId('Te 1/1')), {
      admin: 'up',
      hybrid: true,
      switchport: true,
      guarded: null,
      portCentric: false,
    });
    deepEqual(parsePortConfig(lines, os9PortId('Te 1/2')), {
      admin: 'down',
      hybrid: false,
      switchport: false,
      guarded: null,
      portCentric: false,
    });
    equal(parsePortConfig(lines, os9PortId('Te 1/3')), null);
  });

  it('guards LAG members and routed ports', () => {
    const member = parsePortConfig(os9Fixture('running-config-lag-member.txt'), os9PortId('Te 0/41'));
    match(member?.guarded ?? '', /LAG member/);
    const routed = ['interface TenGigabitEthernet 1/1', ' ip address 10.0.0.1/31', ' no shutdown'];
    match(parsePortConfig(routed, os9PortId('Te 1/1'))?.guarded ?? '', /routed/);
  });

  it('finds the group of a static LAG member in its status, and not in its description', () => {
    const status = [
      'TenGigabitEthernet 0/1 is up, line protocol is up',
      'Port is part of Port-channel 1',
      'Description: server01',
    ];
    equal(parseLagMembership(status), 'Port-channel 1');
    equal(parseLagMembership([status[0]!, 'Description: Port is part of Port-channel 1']), null);
  });

  it('knows an I/O aggregator', () => {
    const port = parsePortConfig(os9Fixture('running-config-aggregator.txt'), os9PortId('Te 0/4'));
    equal(port?.portCentric, true);
  });

  it('reads what stands against deleting a VLAN; commented members of the default VLAN are none', () => {
    const lines = os9Fixture('running-config-vlans.txt');
    deepEqual(parseVlanConfig(lines, 1), { description: '', routed: true, members: [] });
    deepEqual(parseVlanConfig(lines, 100), {
      description: 'csbm-100',
      routed: false,
      members: [
        'tagged TenGigabitEthernet 0/12',
        'tagged Port-channel 128',
        'untagged TenGigabitEthernet 0/1,10,13-14',
      ],
    });
    deepEqual(parseVlanConfig(lines, 200), { description: 'csbm-200', routed: false, members: [] });
    equal(parseVlanConfig(lines, 300)?.routed, true);
    equal(parseVlanConfig(lines, 10), null);
  });
});
