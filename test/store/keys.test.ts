import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Image } from '../../src/core/image/image.ts';
import type { SqlStorage } from '../../src/store/open-storage.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';

const image = (name: string): Image => ({
  name,
  canBond: true,
  firstBoot: 'none',
  rawBytes: 1,
  encoding: 'raw',
  storedBytes: 1,
  sha256: 'a'.repeat(64),
  aliases: [],
  file: 'f',
  createdAt: 1,
  version: 0,
});

/** As every database is to compare keys. */
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

describe('keys', () => {
  let temp: TempStorage;
  let storage: SqlStorage;

  before(async () => {
    temp = await tempStorage();
    storage = temp.storage;
  });
  after(() => temp.close());

  const stored = async (names: readonly string[]): Promise<string[]> => {
    await storage.run(async ({ images }) => {
      for (const { name } of await images.list()) await images.delete(name);
      for (const name of names) await images.insert(image(name));
    });
    return (await storage.run((tx) => tx.images.list())).map(({ name }) => name);
  };

  it('differ by case, accent and a space at the end', async () => {
    const names = ['a', 'A', 'ä', 'a ', 'a  ', 'ａ', 'ß', 'ss', '', ' '];
    assert.deepEqual(await stored(names), names.toSorted(byBytes));
    for (const name of names)
      assert.equal((await storage.run((tx) => tx.images.find(name)))?.name, name, JSON.stringify(name));
    assert.equal(await storage.run((tx) => tx.images.find('Ä')), null);
  });

  it('sort by their bytes, whatever they are', async () => {
    const text = fc
      .string({
        unit: fc.oneof(
          fc.constantFrom(' ', 'a', 'A', 'z', 'é', '﷽', '😀', '~'),
          fc.string({ minLength: 1, maxLength: 1 }),
        ),
        maxLength: 20,
      })
      .filter((one) => !/[\0\p{Surrogate}]/u.test(one));
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(text, { maxLength: 12 }), async (names) => {
        assert.deepEqual(await stored(names), names.toSorted(byBytes));
      }),
      { numRuns: 30 },
    );
  }).timeout(60_000);
});

describe('long texts', () => {
  it('come back whole: a rack config of megabytes, and what a command brings', async () => {
    const temp = await tempStorage();
    try {
      const text = 'ä😀 switch\n'.repeat(200_000);
      await temp.storage.run((tx) => tx.racks.replace(text, [], []));
      assert.equal(await temp.storage.run((tx) => tx.racks.configText()), text);
      const body = { notes: 'x'.repeat(200_000) };
      const stored = await temp.storage.run((tx) =>
        tx.records.insert({ kind: 'file', name: 'big', owner: null, body }),
      );
      assert.deepEqual((await temp.storage.run((tx) => tx.records.find('file', stored.id)))?.body, body);
    } finally {
      await temp.close();
    }
  });
});
