import assert from 'node:assert/strict';
import { Secret, parseVlanId } from '../../plugin-api/index.ts';
import type { Wire } from '../../src/core/rack/wiring.ts';
import type { SqlStorage } from '../../src/store/open-storage.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';
import { rejectsWith } from './rejects-with.ts';
import { mac, port, switchRecord } from './samples.ts';

const wires: readonly Wire[] = [
  { switch: 'tor-b', port: port('p9'), mac: mac(2), server: null },
  { switch: 'tor-a', port: port('p1'), mac: mac(1), server: 'node-1' },
];
const switches = [
  switchRecord('tor-b', { provisioning: parseVlanId(10), park: parseVlanId(4000), enablePassword: null }),
  switchRecord('tor-a', { hostKeyPin: 'SHA256:x', defaultVlan: parseVlanId(1), unsavedSince: 7 }),
];

describe('rack store', () => {
  let temp: TempStorage;
  let storage: SqlStorage;

  beforeEach(async () => {
    temp = await tempStorage();
    storage = temp.storage;
  });
  afterEach(() => temp.close());

  it('is empty before the first upload', async () => {
    await storage.run(async ({ racks }) => {
      assert.equal(await racks.configText(), null);
      assert.deepEqual(await racks.switches(), []);
      assert.deepEqual(await racks.wires(), []);
      assert.equal(await racks.findSwitch('tor-a'), null);
    });
  });

  it('gives text, switches and wires back as uploaded, in their order', async () => {
    await storage.run((tx) => tx.racks.replace('{"racks": []}\n', switches, wires));
    await storage.run(async ({ racks }) => {
      assert.equal(await racks.configText(), '{"racks": []}\n');
      assert.deepEqual(await racks.switches(), switches);
      assert.deepEqual(await racks.wires(), wires);
      const found = await racks.findSwitch('tor-a');
      assert.deepEqual(found, switches[1]);
      assert.equal(found.password.reveal(), 'switch-password');
      assert.equal(found.enablePassword?.reveal(), 'enable-password');
    });
  });

  it('gives switches by name, and those of a fabric as far as others must know them', async () => {
    const elsewhere = switchRecord('tor-c', { fabric: 'rack-2' });
    await storage.run((tx) => tx.racks.replace('{}', [...switches, elsewhere], wires));
    await storage.run(async ({ racks }) => {
      assert.deepEqual(await racks.switchesOf(['tor-a', 'tor-b', 'tor-x']), switches);
      assert.deepEqual(await racks.switchesOf([]), []);
      const byName = [...(await racks.ofFabric('rack-1'))].sort((a, b) => a.name.localeCompare(b.name));
      const uplinks = [port('up1')];
      assert.deepEqual(byName, [
        { name: 'tor-a', uplinks, provisioning: 'default-vlan', park: 'shut', unsavedSince: 7 },
        { name: 'tor-b', uplinks, provisioning: 10, park: 4000, unsavedSince: null },
      ]);
    });
  });

  it('replaces everything, and all of it or nothing', async () => {
    await storage.run((tx) => tx.racks.replace('first', switches, wires));
    await rejectsWith(
      storage.run((tx) => tx.racks.replace('bad', [], wires)),
      'store.conflict',
    );
    assert.equal(await storage.run((tx) => tx.racks.configText()), 'first');
    await storage.run((tx) => tx.racks.replace('second', [switchRecord('tor-c')], []));
    await storage.run(async ({ racks }) => {
      assert.equal(await racks.configText(), 'second');
      assert.deepEqual(await racks.switches(), [switchRecord('tor-c')]);
      assert.deepEqual(await racks.wires(), []);
    });
  });

  it('updates a switch by version; an update from before a replacement is refused', async () => {
    await storage.run((tx) => tx.racks.replace('text', switches, wires));
    const [, torA] = switches;
    const changed = { ...torA!, unsavedSince: null, password: new Secret('next') };
    const stored = await storage.run((tx) => tx.racks.updateSwitch(changed));
    assert.deepEqual(stored, { ...changed, version: 1 });
    const found = await storage.run((tx) => tx.racks.findSwitch('tor-a'));
    assert.deepEqual(found, stored);
    assert.equal(found.password.reveal(), 'next');
    await rejectsWith(
      storage.run((tx) => tx.racks.updateSwitch(changed)),
      'store.conflict',
    );

    await storage.run((tx) => tx.racks.replace('text', switches, wires));
    await rejectsWith(
      storage.run((tx) => tx.racks.updateSwitch(stored)),
      'store.conflict',
    );
    const order = (await storage.run((tx) => tx.racks.switches())).map(({ name }) => name);
    assert.deepEqual(order, ['tor-b', 'tor-a']);
  });

  it('takes a rack of many wires', async () => {
    const many = Array.from({ length: 1_000 }, (_, i): Wire => ({
      switch: 'tor-a',
      port: port(`p${i}`),
      mac: mac(i >> 8, i & 255),
      server: null,
    }));
    await storage.run((tx) => tx.racks.replace('text', switches, many));
    assert.deepEqual(await storage.run((tx) => tx.racks.wires()), many);
  });
});
