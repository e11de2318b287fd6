// Opens the database of its first argument (JSON, as openStorage takes it), says `open`, and then inserts alarms for ever,
// printing the number of each when it is committed. The third argument is the first number; without it nothing is written and
// the database is only held.
import { Secret } from '../../../plugin-api/index.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { openStorage, type StorageOptions } from '../../../src/store/open-storage.ts';

const [database, key, first] = process.argv.slice(2);
const storage = await openStorage({
  ...(JSON.parse(database!) as StorageOptions),
  key: { base64: new Secret(key!) },
  clock: new SystemClock(),
});
process.stdout.write('open\n');
if (first === undefined) setInterval(() => undefined, 60_000);
else {
  for (let n = Number(first); ; n += 1) {
    await storage.run(async (tx) => {
      await tx.alarms.insert({ id: `a-${n}`, at: n, code: 'x', machineId: null, text: 'first half' });
      await tx.alarms.insert({ id: `b-${n}`, at: n, code: 'x', machineId: null, text: 'x'.repeat(2_000) });
    });
    process.stdout.write(`${n}\n`);
  }
}
