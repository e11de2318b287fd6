import assert from 'node:assert/strict';
import { switchTypes } from '../../src/drivers/switch/registry.ts';
import { csbm } from '../cli/run-csbm.ts';

// `csbm rack check` knew Force10 only, and refused racks that the service takes.
describe('csbm rack check', () => {
  for (const { type, defaultTransport, transports } of switchTypes.values()) {
    it(`takes a switch of type ${type}`, async () => {
      const ip = transports[defaultTransport] === null ? '/run/openvswitch/db.sock' : '192.0.2.1';
      const l2Switch = { ip, username: 'u', password: 'not-a-real-one', type, uplinks: ['1/49'] };
      const rack = { racks: [{ l2Switch, hosts: [{ mac: '52:54:00:aa:00:01', port: '1/1' }] }] };
      const { code, out } = await csbm(['rack', 'check', '-', '--json'], { stdin: JSON.stringify(rack) });
      assert.equal(code, 0, out);
      assert.equal((JSON.parse(out) as { switches: number }).switches, 1);
    });
  }
});
