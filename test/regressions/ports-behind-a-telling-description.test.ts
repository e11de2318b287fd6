import assert from 'node:assert/strict';
import { os9PortId } from '../../plugin-api/index.ts';
import {
  parseShowVlan,
  taggedVlansOf,
  untaggedVlansOf,
} from '../../src/drivers/switch/force10-cli/show-vlan.ts';

const header = '    NUM    Status    Description                     Q Ports';
const port = os9PortId('Te 1/2');

// Where a long description pushes the ports to the right they were looked for from the left: one that itself speaks of ports hid
// the real ones, and the port seemed to be in no VLAN.
for (const description of [
  'core switch, was T Te 1/1 before the move',
  'was U Te 1/1 until it was replaced',
  'two uplinks named T Te 1/47 U Te 1/48',
])
  it(`ports are found behind the description "${description}"`, () => {
    const table = parseShowVlan([header, `    100    Active    ${description} U Te 1/2-1/4`]);
    assert.deepEqual(untaggedVlansOf(table, port), [100]);
    assert.deepEqual(taggedVlansOf(table, port), []);
    assert.deepEqual(untaggedVlansOf(table, os9PortId('Te 1/1')), []);
    assert.equal([...table.vlans.values()][0]!.description, description);
  });
