import assert from 'node:assert/strict';
import { parseMac, type Mac } from '../../plugin-api/index.ts';
import { port, switchRecord } from '../store/samples.ts';
import { tempStorage } from '../support/temp-storage.ts';

const mac = (n: number): Mac =>
  parseMac(
    `52:54:${n
      .toString(16)
      .padStart(8, '0')
      .replace(/..(?!$)/g, '$&:')}`,
  );

// With a port or a switch in quarantine, the list of machines asks for the wires of all their NICs. From 16,385 NICs on the statement
// had more values than SQLite takes, and the list, the dashboard's too, was refused as a fault of csbm.
it('the wires of more NICs than a statement takes are found', async function () {
  this.timeout(30_000);
  const temp = await tempStorage();
  try {
    const at = switchRecord('tor-a');
    const wires = [1, 17_000].map((n) => ({
      mac: mac(n),
      switch: at.name,
      port: port(`p${n}`),
      server: null,
    }));
    const stranger = { mac: mac(99_999), switch: at.name, port: port('p3'), server: null };
    await temp.storage.run((tx) => tx.racks.replace('{}', [at], [...wires, stranger]));
    const asked = Array.from({ length: 20_000 }, (_, n) => mac(n));
    assert.deepEqual(await temp.storage.run((tx) => tx.racks.wiresOf(asked)), wires);
  } finally {
    await temp.close();
  }
});
