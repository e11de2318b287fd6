import assert from 'node:assert/strict';
import { os9PortId, Secret, type DesiredPort, type VlanId } from '../../../plugin-api/index.ts';
import type { PortPurpose } from '../../../src/core/network/port-state.ts';
import type { Switch } from '../../../src/core/rack/wiring.ts';
import { wantedOf } from '../../../src/operations/ports/wanted.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';

const vlan = (id: number): VlanId => id as VlanId;
const te = (n: number) => os9PortId(`Te 1/${n}`);

function switchOf(name: string, fabric: string, park: Switch['park'] = 'shut'): Switch {
  return {
    ...{ name, fabric, park, type: 'Force10', transport: 'ssh', host: '127.0.0.1', tcpPort: 22 },
    ...{ username: 'admin', password: new Secret('secret'), enablePassword: null, hostKeyPin: null },
    ...{ legacyCrypto: false, uplinks: [os9PortId('Fo 1/49')], provisioning: vlan(100) },
    ...{ defaultVlan: null, unsavedSince: null, version: 1 },
  };
}

describe('what is wanted of a switch', () => {
  const [first, second, elsewhere] = [
    switchOf('tor-1', 'red', vlan(999)),
    switchOf('tor-2', 'red'),
    switchOf('tor-3', 'blue'),
  ] as const;
  let temp: TempStorage;

  before(async () => {
    temp = await tempStorage();
    await temp.storage.run((tx) => tx.racks.replace('{}', [first, second, elsewhere], []));
    const desire = (at: string, n: number, purpose: PortPurpose, desired: DesiredPort) =>
      temp.storage.run((tx) =>
        tx.ports.desire({ switch: at, port: te(n), machineId: null, purpose, desired }),
      );
    await desire('tor-1', 1, 'tenant', { native: vlan(200), tagged: [vlan(201)], admin: 'up' });
    await desire('tor-1', 2, 'tenant', { native: vlan(999), tagged: [vlan(202)], admin: 'up' });
    await desire('tor-1', 3, 'provisioning', { native: vlan(100), tagged: [], admin: 'up' });
    await desire('tor-2', 1, 'tenant', { native: vlan(300), tagged: [], admin: 'up' });
    await desire('tor-3', 1, 'tenant', { native: vlan(400), tagged: [], admin: 'up' });
  });
  after(() => temp.close());

  it('its own ports that were asked for, and the VLANs of all tenants of its fabric on the uplinks', async () => {
    const { intent, records } = await wantedOf(temp.storage, first, [te(1), te(3), te(9)], null);
    assert.deepEqual([...intent.ports.keys()].sort(), [te(1), te(3)]);
    assert.equal(records.length, 2);
    assert.deepEqual(intent.carried, [100, 200, 201, 202, 300]);
    assert.deepEqual((await wantedOf(temp.storage, elsewhere, [], null)).intent.carried, [100, 400]);
  });

  it('a VLAN of ours that nobody uses any more is retired, one in use or of others is not', async () => {
    const seen = [
      { id: 200, ours: true },
      { id: 250, ours: true },
      { id: 260, ours: false },
      { id: 999, ours: true },
    ].map(({ id, ours }) => [vlan(id), { id: vlan(id), ours, description: '', members: [] }] as const);
    const observed = { defaultVlan: null, ports: new Map(), vlans: new Map(seen), unsaved: null };
    const { intent } = await wantedOf(temp.storage, first, [], observed);
    assert.deepEqual(intent.retired, [250]);
  });

  it('what a plan would write counts instead of what is stored', async () => {
    const record = {
      ...{ switch: 'tor-2', port: te(1), machineId: null, purpose: 'tenant' as const, desiredVersion: 0 },
      ...{ desired: { native: vlan(301), tagged: [], admin: 'up' as const } },
      ...{ observed: null, observedVersion: 0, observedAt: null },
    };
    const { intent } = await wantedOf(temp.storage, second, [te(1)], null, [record]);
    assert.equal(intent.ports.get(te(1))?.native, 301);
    assert.ok(intent.carried.includes(vlan(301)) && !intent.carried.includes(vlan(300)));
  });
});
