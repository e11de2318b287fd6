import assert from 'node:assert/strict';
import { switchRegistry, switchTypes } from '../../../src/drivers/switch/registry.ts';
import { parseRackConfig, RackConfigError, type RackSwitch } from '../../../rack-config/index.ts';

/** Reads a rack config with one switch; throws with what is wrong. */
function parsed(l2Switch: Readonly<Record<string, unknown>>, port = 'tap0'): RackSwitch {
  const rack = {
    l2Switch: { username: '', password: '', type: 'OVS', uplinks: ['bond0'], ...l2Switch },
    hosts: [{ mac: '52:54:00:aa:00:01', port }],
  };
  const config = parseRackConfig(JSON.stringify({ racks: [rack] }), switchTypes);
  assert.deepEqual(config.warnings, []);
  return config.switches[0]!;
}

function refusal(l2Switch: Readonly<Record<string, unknown>>): string {
  try {
    parsed(l2Switch);
  } catch (error) {
    assert.ok(error instanceof RackConfigError);
    return error.message;
  }
  return 'accepted';
}

describe('Open vSwitch in a rack config', () => {
  it('is found by its type, as every driver is', () => {
    assert.deepEqual([...switchTypes.keys()], [...switchRegistry.keys()]);
    for (const [type, { create }] of switchRegistry) {
      const context = {
        clock: { now: () => 0, monotonic: () => 0, sleep: async () => undefined },
        log: () => undefined,
      };
      assert.equal(create(context, undefined).type, type);
    }
  });

  it('is the path of a socket, unless a transport over the network is named', () => {
    const { host, transport, tcpPort } = parsed({ ip: '/run/openvswitch/db.sock' });
    assert.deepEqual(
      { host, transport, tcpPort },
      { host: '/run/openvswitch/db.sock', transport: 'unix', tcpPort: 0 },
    );
    for (const over of ['tcp', 'ssl']) {
      assert.equal(parsed({ ip: '192.0.2.11', transport: over }).tcpPort, 6640);
      assert.equal(parsed({ ip: '192.0.2.11', transport: over, tcpPort: 6632 }).tcpPort, 6632);
    }
  });

  it('takes port names as they are', () => {
    assert.deepEqual(parsed({ ip: '/db.sock' }, 'n1p1').uplinks, ['bond0']);
  });

  it('says what to write where address and transport do not fit', () => {
    assert.match(refusal({ ip: '192.0.2.11' }), /not the path of a socket; .*"transport".*: tcp, ssl/);
    assert.match(refusal({ ip: 'run/db.sock' }), /not the path of a socket/);
    assert.match(refusal({ ip: '/run/openvswitch/' }), /not the path of a socket/);
    assert.match(refusal({ ip: `/${'x'.repeat(107)}` }), /not the path of a socket/);
    assert.match(refusal({ ip: '/run/db.sock', transport: 'tcp' }), /is not an address/);
    assert.match(refusal({ ip: '/run/db.sock', tcpPort: 6640 }), /"unix" has no TCP port/);
    assert.match(
      refusal({ ip: '/run/db.sock', transport: 'ssh' }),
      /no transport "ssh"; use one of: unix, tcp, ssl/,
    );
    assert.match(refusal({ ip: '/run/db.sock', type: 'Force10' }), /is not an address/);
  });

  it('stands once, however often its path is written', () => {
    const l2Switch = { ip: '/run/db.sock', username: '', password: '', type: 'OVS', uplinks: ['up0'] };
    const rack = (mac: string, name: string): object => ({
      l2Switch: { ...l2Switch, name },
      hosts: [{ mac, port: 'p1' }],
    });
    const text = JSON.stringify({ racks: [rack('52:54:00:aa:00:01', 'a'), rack('52:54:00:aa:00:02', 'b')] });
    assert.throws(() => parseRackConfig(text, switchTypes), /the switch \/run\/db\.sock stands already/);
  });
});
