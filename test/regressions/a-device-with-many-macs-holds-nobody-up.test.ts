import assert from 'node:assert/strict';
import type { RecordStore } from '../../src/core/storage/storage.ts';
import { MaasService } from '../api/maas/maas-service.ts';

// For each MAC of a new device all devices were read: a user with a long list kept the whole service waiting.
it('the MACs of a device are looked up together, however many they are', async function () {
  this.timeout(60_000);
  const maas = new MaasService();
  try {
    await maas.start();
    const key = await maas.newUser('anna');
    const count = 3_000;
    const macs = (from: number): readonly string[] =>
      Array.from({ length: count }, (_, n) => {
        const hex = (from + n).toString(16).padStart(6, '0');
        return `52:54:00:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4)}`;
      });
    const first = await maas.post('devices/', { mac_addresses: macs(0) }, { key });
    assert.equal(first.status, 200, first.text);
    const prototype = await maas.admin.storage.run(
      async (tx) => Object.getPrototypeOf(tx.records) as RecordStore,
    );
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its own `this` below
    const { list } = prototype;
    let lists = 0;
    prototype.list = function (...of) {
      lists += 1;
      return list.apply(this, of);
    };
    try {
      const twin = await maas.post('devices/', { mac_addresses: macs(count - 1).toReversed() }, { key });
      assert.equal(twin.status, 400, twin.text);
      assert.match(twin.text, /52:54:00:00:0b:b7 already in use/);
      assert.ok(lists < 10, `${lists} lists`);
    } finally {
      prototype.list = list;
    }
  } finally {
    await maas.dispose();
  }
});
