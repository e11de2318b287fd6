import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '../../plugin-api/index.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { openStorage, type SqlStorage } from '../../src/store/open-storage.ts';
import { openSqliteHandle } from '../../src/store/sqlite-handle.ts';
import { runChild, type Child } from './children/run-child.ts';
import { rejectsWith } from './rejects-with.ts';

describe('a database file and the processes that use it', () => {
  const key = randomBytes(32).toString('base64');
  let directory: string;
  let file: string;
  const children: Child[] = [];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'csbm-crash-'));
    file = join(directory, 'csbm.db');
  });
  afterEach(async () => {
    for (const child of children.splice(0)) await child.kill();
    rmSync(directory, { recursive: true });
  });

  const open = (): Promise<SqlStorage> =>
    openStorage({ type: 'sqlite', file, key: { base64: new Secret(key) }, clock: new SystemClock() });
  const start = (...args: string[]): Child => {
    const child = runChild('writer.ts', [JSON.stringify({ type: 'sqlite', file }), key, ...args]);
    children.push(child);
    return child;
  };

  it('keeps every acknowledged row, and no half of one, through kill -9', async () => {
    let acknowledged = -1;
    for (let round = 0; round < 3; round += 1) {
      const child = start(String(acknowledged + 1_000));
      assert.equal((await child.lines.next()).value, 'open');
      for (let i = 0; i < 40; i += 1) acknowledged = Number((await child.lines.next()).value);
      const gone = child.kill();
      // What it had printed before it died counts too.
      for (let line = await child.lines.next(); !line.done; line = await child.lines.next())
        acknowledged = Number(line.value);
      await gone;

      const storage = await open();
      const alarms = await storage.run((tx) => tx.alarms.list(100_000));
      await storage.close();
      const ids = new Set(alarms.map(({ id }) => id));
      const numbers = new Set(alarms.map(({ at }) => at));
      assert.ok(numbers.has(acknowledged), `row ${acknowledged} was acknowledged and is lost`);
      for (const n of numbers)
        assert.ok(ids.has(`a-${n}`) && ids.has(`b-${n}`), `half of unit ${n} is there`);
      const highest = Math.max(...numbers);
      assert.ok(
        highest <= acknowledged + 1,
        'at most the unit that was being acknowledged may be there besides',
      );
      acknowledged = highest;

      const handle = openSqliteHandle(file);
      // The engines differ in what rows inherit from.
      const rows = handle.pragma('integrity_check') as readonly Readonly<Record<string, unknown>>[];
      assert.deepEqual(
        rows.map((row) => row['integrity_check']),
        ['ok'],
      );
      handle.close();
    }
  }).timeout(60_000);

  it('is refused to a second process, naming the first', async () => {
    const child = start();
    assert.equal((await child.lines.next()).value, 'open');
    const error = await rejectsWith(open(), 'store.locked');
    assert.match(error.message, new RegExp(`process ${child.pid}\\b`));
    assert.ok(error.message.includes(file));
  }).timeout(60_000);

  it('is free at once when its process was killed', async () => {
    const child = start();
    assert.equal((await child.lines.next()).value, 'open');
    await child.kill();
    await (await open()).close();
  }).timeout(60_000);

  it('is refused to a second use in the same process until the first is closed', async () => {
    const first = await open();
    const error = await rejectsWith(open(), 'store.locked');
    assert.match(error.message, new RegExp(`process ${process.pid}\\b`));
    await rejectsWith(open(), 'store.locked');
    await first.run((tx) => tx.alarms.list(1));
    await first.close();
    await (await open()).close();
  });

  it('is free again when opening failed', async () => {
    await (await open()).close();
    const wrong = { base64: new Secret(randomBytes(32).toString('base64')) };
    const failing = openStorage({ type: 'sqlite', file, key: wrong, clock: new SystemClock() });
    await rejectsWith(failing, 'store.secret');
    await (await open()).close();
  });

  it('that cannot be used says so', async () => {
    const bad = join(directory, 'bad.db');
    const options = { type: 'sqlite', key: { base64: new Secret(key) }, clock: new SystemClock() } as const;
    writeFileSync(bad, 'this is not a database file, but long enough to be looked at. '.repeat(40));
    await rejectsWith(openStorage({ ...options, file: bad }), 'store.unavailable');
    mkdirSync(join(directory, 'folder.db'));
    await rejectsWith(openStorage({ ...options, file: join(directory, 'folder.db') }), 'store.unavailable');
    await rejectsWith(openStorage({ ...options, file: join(bad, 'csbm.db') }), 'store.unavailable');
  });
});
