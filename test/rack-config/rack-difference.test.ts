import assert from 'node:assert/strict';
import { os9PortId } from '../../plugin-api/index.ts';
import {
  parseRackConfig,
  rackDifference,
  type RackConfig,
  type RackDifference,
} from '../../rack-config/index.ts';

const types = new Map([
  ['Force10', { type: 'Force10', defaultTransport: 'ssh', transports: { ssh: 22 }, parsePort: os9PortId }],
]);

type Hosts = Readonly<Record<string, string>>;
const a1 = '52:54:00:aa:00:01';
const a2 = '52:54:00:aa:00:02';
const a3 = '52:54:00:aa:00:03';

function config(
  switches: Readonly<Record<string, { l2?: object; hosts: Hosts }>>,
  servers: object[] = [],
): RackConfig {
  const racks = Object.entries(switches).map(([name, { l2, hosts }], i) => ({
    l2Switch: { ip: `192.0.2.${i + 1}`, username: 'u', password: 'p', type: 'Force10', name, ...l2 },
    hosts: Object.entries(hosts).map(([mac, port]) => ({ mac, port })),
  }));
  return parseRackConfig(JSON.stringify({ racks, servers }), types);
}

const none: RackDifference = {
  wires: { added: [], dropped: [], moved: [] },
  switches: { added: [], dropped: [], changed: [] },
  rewired: [],
};

describe('rack difference', () => {
  const base = config({ a: { hosts: { [a1]: '1/1', [a2]: '1/2' } }, b: { hosts: { [a3]: '1/1' } } });

  it('is empty between two spellings of the same floor', () => {
    const respelt = config({
      a: {
        l2: { fabric: 'default', transport: 'ssh' },
        hosts: { [a2.toUpperCase()]: 'te 1/2', [a1]: 'tengigabitethernet:1/1' },
      },
      b: { hosts: { [a3]: '1/1' } },
    });
    assert.deepEqual(rackDifference(base, respelt), none);
  });

  it('tells wires that are moved to another port or switch, dropped and added', () => {
    const after = config({
      a: { hosts: { [a1]: '1/9', [a3]: '1/1' } },
      b: { hosts: { '52:54:00:aa:00:04': '1/4' } },
    });
    const { wires, switches } = rackDifference(base, after);
    assert.deepEqual(
      wires.moved.map(({ before, after }) => [
        before.mac,
        before.switch,
        before.port,
        after.switch,
        after.port,
      ]),
      [
        [a1, 'a', 'TenGigabitEthernet 1/1', 'a', 'TenGigabitEthernet 1/9'],
        [a3, 'b', 'TenGigabitEthernet 1/1', 'a', 'TenGigabitEthernet 1/1'],
      ],
    );
    assert.deepEqual(
      wires.dropped.map(({ mac }) => mac),
      [a2],
    );
    assert.deepEqual(
      wires.added.map(({ mac }) => mac),
      ['52:54:00:aa:00:04'],
    );
    assert.deepEqual(switches, none.switches);
  });

  it('tells a dropped switch with its wires, and the reverse as added', () => {
    const small = config({ a: { hosts: { [a1]: '1/1', [a2]: '1/2' } } });
    const dropped = rackDifference(base, small);
    assert.deepEqual(
      dropped.switches.dropped.map(({ name }) => name),
      ['b'],
    );
    assert.deepEqual(
      dropped.wires.dropped.map(({ mac }) => mac),
      [a3],
    );
    const added = rackDifference(small, base);
    assert.deepEqual(added.switches.added, dropped.switches.dropped);
    assert.deepEqual(added.wires.added, dropped.wires.dropped);
  });

  it('names what changed of a switch', () => {
    const l2 = {
      l2: { ip: '192.0.2.77', password: 'env:X', provisioning: { vlan: 9 }, uplinks: ['1/48', '1/47'] },
    };
    const changed = (before: object, after: object): readonly (readonly string[])[] =>
      rackDifference(
        config({ a: { l2: before, hosts: {} } }),
        config({ a: { l2: after, hosts: {} } }),
      ).switches.changed.map(({ keys }) => keys);
    assert.deepEqual(changed({}, l2.l2), [['host', 'password', 'uplinks', 'provisioning']]);
    assert.deepEqual(changed({ uplinks: ['1/48', '1/47'] }, { uplinks: ['1/47', 'te1/48'] }), []);
    assert.deepEqual(changed({ password: 'one' }, { password: 'two' }), [['password']]);
    assert.deepEqual(changed({ password: 'env:A' }, { password: 'env:B' }), [['password']]);
    assert.deepEqual(changed({ password: 'file:/a' }, { password: 'file:/a' }), []);
    assert.deepEqual(changed({ enablePassword: 'x' }, {}), [['enablePassword']]);
  });

  it('tells servers whose wiring becomes none, or is none no longer', () => {
    const a = { a: { hosts: {} } };
    const off = config(a, [{ name: 'n', wiring: 'none' }]);
    const on = config(a, [{ name: 'n', wiring: 'managed' }]);
    const absent = config(a);
    const rewired = (before: RackConfig, after: RackConfig): unknown =>
      rackDifference(before, after).rewired.map(({ name, wiring }) => `${name} ${wiring}`);
    assert.deepEqual(rewired(on, off), ['n none']);
    assert.deepEqual(rewired(off, on), ['n managed']);
    assert.deepEqual(rewired(absent, off), ['n none']);
    assert.deepEqual(rewired(off, absent), ['n managed']);
    assert.deepEqual(rewired(absent, on), []);
  });
});
