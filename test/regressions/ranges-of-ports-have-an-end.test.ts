import assert from 'node:assert/strict';
import { DeviceError } from '../../plugin-api/index.ts';
import { membersOf, parseShowVlan } from '../../src/drivers/switch/force10-cli/show-vlan.ts';

// A switch (or whoever answers at its address) that printed `Te 1/1-1/4000000000` made the service write out every port of it.
it('a range of ports that no switch has is no range', () => {
  const lines = (range: string): string[] => [
    '    NUM    Status    Description                     Q Ports',
    `*   1      Active    x                               U Te ${range}`,
  ];
  const table = parseShowVlan(lines('1/1-1/48'));
  assert.equal(membersOf([...table.vlans.values()][0]!).length, 48);
  assert.throws(
    () => parseShowVlan(lines('1/1-1/4000000000')),
    (error) => error instanceof DeviceError && error.code === 'switch.protocol',
  );
});
