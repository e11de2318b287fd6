import assert from 'node:assert/strict';
import { parseVlanId, type DesiredPort, type ObservedPort } from '../../plugin-api/index.ts';
import type { PortRecord } from '../../src/core/network/port-state.ts';
import type { PortStore } from '../../src/core/storage/storage.ts';
import type { SqlStorage } from '../../src/store/open-storage.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';
import { rejectsWith } from './rejects-with.ts';
import { machine, machineId, port, switchRecord } from './samples.ts';

const tenant: DesiredPort = { native: parseVlanId(100), tagged: [parseVlanId(200)], admin: 'up' };
const park: DesiredPort = { native: null, tagged: [], admin: 'down' };
const seen: ObservedPort = { ...tenant, prepared: true, guarded: null };
const place = { switch: 'tor-a', port: port('p1') };
const wish = { ...place, machineId: machineId(1), purpose: 'tenant', desired: tenant } as const;

describe('port store', () => {
  let temp: TempStorage;
  let storage: SqlStorage;

  beforeEach(async () => {
    temp = await tempStorage();
    storage = temp.storage;
    await storage.run((tx) => tx.machines.insert(machine(1)));
  });
  afterEach(() => temp.close());

  const ports = <T>(work: (store: PortStore) => Promise<T>): Promise<T> =>
    storage.run((tx) => work(tx.ports));
  const find = (): Promise<PortRecord | null> => ports((store) => store.find('tor-a', port('p1')));

  it('counts versions of what is desired, and only when that changes', async () => {
    const first = await ports((store) => store.desire(wish));
    const expected = { ...wish, desiredVersion: 1, observed: null, observedVersion: 0, observedAt: null };
    assert.deepEqual(first, expected);
    assert.deepEqual(await find(), first);
    assert.deepEqual(await ports((store) => store.desire(wish)), first);

    const parked = await ports((store) => store.desire({ ...wish, desired: park, purpose: 'park' }));
    assert.deepEqual(parked, { ...first, desired: park, purpose: 'park', desiredVersion: 2 });
    const fenced = await ports((store) => store.desire({ ...wish, desired: park, purpose: 'fenced' }));
    assert.equal(fenced.desiredVersion, 3);
    const dropped = await ports((store) => store.desire({ ...fenced, machineId: null }));
    assert.deepEqual(dropped, { ...fenced, machineId: null });
    assert.deepEqual(await find(), dropped);
  });

  it('records readings, and never goes back', async () => {
    await ports((store) => store.desire(wish));
    await ports((store) => store.observe({ ...place, observed: seen, observedVersion: 1, observedAt: 50 }));
    const read = await find();
    assert.deepEqual([read?.observed, read?.observedVersion, read?.observedAt], [seen, 1, 50]);

    const other = { ...seen, admin: 'down' } as const;
    await ports((store) => store.observe({ ...place, observed: other, observedVersion: 0, observedAt: 60 }));
    const later = await find();
    assert.deepEqual([later?.observed, later?.observedVersion, later?.observedAt], [other, 1, 60]);

    await ports((store) => store.observe({ ...place, observed: seen, observedVersion: 1, observedAt: 55 }));
    assert.deepEqual(await find(), later);
  });

  it('keeps the reading when another state is desired', async () => {
    await ports((store) => store.desire(wish));
    await ports((store) => store.observe({ ...place, observed: seen, observedVersion: 1, observedAt: 50 }));
    const next = await ports((store) => store.desire({ ...wish, desired: park }));
    assert.deepEqual([next.desiredVersion, next.observedVersion, next.observed], [2, 1, seen]);
    assert.deepEqual(await find(), next);
  });

  it('ignores a reading of a port that is not recorded', async () => {
    await ports((store) => store.observe({ ...place, observed: seen, observedVersion: 1, observedAt: 50 }));
    assert.equal(await find(), null);
  });

  it('lists by switch and by machine', async () => {
    const names = (records: readonly PortRecord[]): string[] =>
      records.map((record) => `${record.switch} ${record.port}`);
    await ports(async (store) => {
      await store.desire({ ...wish, switch: 'tor-b' });
      await store.desire({ ...wish, port: port('p2'), machineId: null });
      await store.desire(wish);
      assert.deepEqual(names(await store.ofSwitch('tor-a')), ['tor-a p1', 'tor-a p2']);
      assert.deepEqual(names(await store.ofMachine(machineId(1))), ['tor-a p1', 'tor-b p1']);
      assert.equal((await store.list()).length, 3);
      await store.delete('tor-a', port('p1'));
      assert.equal(await store.find('tor-a', port('p1')), null);
      assert.equal((await store.list()).length, 2);
    });
  });

  it('tells the VLANs that tenants use on a fabric, also but for some ports', async () => {
    const vlan = parseVlanId;
    await storage.run(async (tx) => {
      const switches = [
        switchRecord('tor-a', { park: vlan(999) }),
        switchRecord('tor-b'),
        switchRecord('tor-c', { fabric: 'rack-2' }),
      ];
      await tx.racks.replace('{}', switches, []);
      const desire = (
        at: string,
        n: number,
        purpose: PortRecord['purpose'],
        native: number,
        tagged: number[],
      ) =>
        tx.ports.desire({
          ...{ switch: at, port: port(`p${n}`), machineId: null, purpose },
          desired: { native: vlan(native), tagged: tagged.map(vlan), admin: 'up' },
        });
      await desire('tor-a', 1, 'tenant', 100, [200, 201]);
      await desire('tor-a', 2, 'tenant', 999, [202]);
      await desire('tor-a', 3, 'provisioning', 50, []);
      await desire('tor-b', 1, 'tenant', 100, []);
      await desire('tor-b', 2, 'tenant', 999, []);
      await desire('tor-c', 1, 'tenant', 300, []);
      await desire('gone', 1, 'tenant', 400, []);
    });
    const used = async (fabric: string, except: readonly (readonly [string, string])[] = []) => {
      const places = except.map(([name, at]) => ({ switch: name, port: port(at) }));
      return [...(await ports((store) => store.tenantVlans(fabric, places)))].sort((a, b) => a - b);
    };
    // 999 is parked on one switch, and a tenant's on the other.
    assert.deepEqual(await used('rack-1'), [100, 200, 201, 202, 999]);
    assert.deepEqual(await used('rack-1', [['tor-a', 'p1']]), [100, 202, 999]);
    assert.deepEqual(
      await used('rack-1', [
        ['tor-a', 'p1'],
        ['tor-b', 'p1'],
        ['tor-b', 'p2'],
      ]),
      [202],
    );
    assert.deepEqual(await used('rack-2'), [300]);
    assert.deepEqual(await used('rack-3'), []);
  });

  it('outlives its machine, and refuses one that is not there', async () => {
    await ports((store) => store.desire(wish));
    await storage.run((tx) => tx.machines.delete(machineId(1), 0));
    assert.equal((await find())?.machineId, null);
    await rejectsWith(
      ports((store) => store.desire(wish)),
      'store.conflict',
    );
  });
});
