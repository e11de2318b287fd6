import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '../../plugin-api/index.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { openStorage, type SqlStorage } from '../../src/store/open-storage.ts';
import type { KeySource } from '../../src/store/secrets/key-ring.ts';
import { openSqliteHandle } from '../../src/store/sqlite-handle.ts';
import { rejectsWith } from './rejects-with.ts';
import { boot, deployment, machine, machineId, operation, switchRecord } from './samples.ts';

const plain = [
  ...['bmc-password-1', 'bmc-kg-1', 'switch-password', 'enable-password', 'rack-config-text'],
  ...['user-data-text', 'boot-work-text', 'boot-user-data', 'input-user-data', 'context-text'],
];

describe('secrets at rest', () => {
  let directory: string;
  let file: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'csbm-secrets-'));
    file = join(directory, 'csbm.db');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const open = (key: KeySource = { file: `${file}.key` }): Promise<SqlStorage> =>
    openStorage({ type: 'sqlite', file, key, clock: new SystemClock() });

  async function fill(storage: SqlStorage): Promise<void> {
    await storage.run(async (tx) => {
      await tx.machines.insert(machine(1));
      await tx.racks.replace('rack-config-text', [switchRecord('tor-a')], []);
      await tx.deployments.insert(deployment(1));
      await tx.journal.insert(operation('op-1', 1));
      await tx.boots.insert(boot('op-1', 1));
    });
  }

  async function everythingOpens(storage: SqlStorage): Promise<void> {
    await storage.run(async (tx) => {
      const found = await tx.machines.find(machineId(1));
      assert.equal(found?.bmc?.password.reveal(), 'bmc-password-1');
      assert.equal(found.bmc.kg?.reveal(), 'bmc-kg-1');
      const torA = await tx.racks.findSwitch('tor-a');
      assert.equal(torA?.password.reveal(), 'switch-password');
      assert.equal(torA.enablePassword?.reveal(), 'enable-password');
      assert.equal(await tx.racks.configText(), 'rack-config-text');
      assert.equal((await tx.deployments.find('op-1'))?.firstBoot.userData, 'user-data-text');
      assert.deepEqual((await tx.journal.find('op-1'))?.input, operation('op-1', 1).input);
      assert.deepEqual((await tx.journal.find('op-1'))?.context, operation('op-1', 1).context);
      assert.deepEqual((await tx.boots.find('op-1'))?.order, boot('op-1', 1).order);
    });
  }

  /** Runs SQL on the closed file, as somebody with an editor would. */
  function tamper(sql: string): void {
    const handle = openSqliteHandle(file);
    handle.exec(sql);
    handle.close();
  }

  it('are in no file of the database, neither while it is open nor afterwards', async () => {
    const secretsIn = (names: readonly string[]): string[] => {
      const bytes = Buffer.concat(names.map((name) => readFileSync(join(directory, name))));
      assert.ok(bytes.includes('node-1'), 'what is not secret must be found, or this search proves nothing');
      return plain.filter((text) => bytes.includes(text));
    };
    const storage = await open();
    await fill(storage);
    // Only the WAL: closing another descriptor of the other files would drop this process's locks on them.
    assert.deepEqual(secretsIn(['csbm.db-wal']), []);
    await storage.close();
    assert.deepEqual(secretsIn(readdirSync(directory).filter((name) => !name.endsWith('.key'))), []);
  });

  it('lie in files that only their owner may read', async () => {
    const storage = await open();
    await fill(storage);
    for (const name of ['csbm.db', 'csbm.db-wal', 'csbm.db.key'])
      assert.equal(statSync(join(directory, name)).mode & 0o077, 0, name);
    await storage.close();
  });

  it('come back after a restart, and do not open in another row', async () => {
    const first = await open();
    await fill(first);
    await first.run((tx) => tx.machines.insert(machine(2)));
    await first.close();
    const second = await open();
    await everythingOpens(second);
    await second.close();

    tamper(`UPDATE machine SET bmc_password = (SELECT bmc_password FROM machine WHERE id = 'mach02')`);
    const third = await open();
    await rejectsWith(
      third.run((tx) => tx.machines.find(machineId(1))),
      'store.secret',
    );
    assert.equal((await third.run((tx) => tx.machines.find(machineId(2))))?.hostname, 'node-2');
    await third.close();
  });

  it('do not open in another column of the same row', async () => {
    const first = await open();
    await fill(first);
    await first.close();
    tamper(`UPDATE machine SET bmc_kg = bmc_password`);
    const second = await open();
    await rejectsWith(
      second.run((tx) => tx.machines.find(machineId(1))),
      'store.secret',
    );
    await second.close();
  });

  it('make opening with another key fail at once, and the right key still work afterwards', async () => {
    const first = await open();
    await fill(first);
    await first.close();
    await rejectsWith(open({ base64: new Secret(randomBytes(32).toString('base64')) }), 'store.secret');
    await rejectsWith(open({ file: `${file}.other-key` }), 'store.secret');
    const again = await open();
    await everythingOpens(again);
    await again.close();
  });

  it('are sealed anew after a rotation, and then the old key may go', async () => {
    const [oldKey, newKey] = [randomBytes(32), randomBytes(32)].map((key) => key.toString('base64'));
    const keys = (...words: string[]): KeySource => ({ base64: new Secret(words.join('\n')) });
    const first = await open(keys(oldKey!));
    await fill(first);
    // More rows than one batch of the rotation.
    await first.run(async (tx) => {
      for (let n = 2; n < 240; n += 1)
        await tx.journal.insert(operation(`op-${n}`, n, { state: 'done', endedAt: 1 }));
    });
    await first.close();

    const second = await open(keys(newKey!, oldKey!));
    await everythingOpens(second);
    await second.close();
    // The new key is known now, but most is still sealed with the old one.
    await rejectsWith(open(keys(newKey!)), 'store.secret');

    const third = await open(keys(newKey!, oldKey!));
    const count = await third.reseal();
    assert.equal(count, 2 + 2 + 1 + 1 + 2 * 239 + 1);
    assert.equal(await third.reseal(), 0);
    await third.close();

    const fourth = await open(keys(newKey!));
    await everythingOpens(fourth);
    await fourth.close();
    await rejectsWith(open(keys(oldKey!)), 'store.secret');
  });

  it('appear in no log line and no error, however a statement fails', async () => {
    let lines = '';
    const log = createLog({ level: 'debug', destination: { write: (line) => (lines += line) } });
    const storage = await openStorage({
      type: 'sqlite',
      file,
      key: { file: `${file}.key` },
      clock: new SystemClock(),
      log,
    });
    await fill(storage);
    const error = await rejectsWith(fill(storage), 'store.conflict');
    log.error({ err: error }, 'refused');
    const bad = operation('op-2', 2, { createdAt: Number.NaN, joinKey: 'join-key-text' });
    const refused = await rejectsWith(
      storage.run((tx) => tx.journal.insert(bad)),
      'internal.bug',
    );
    log.error({ err: refused }, 'refused');
    await storage.close();
    assert.match(lines, /INSERT INTO/);
    for (const text of [...plain, 'node-1', 'join-key-text', 'v1.']) assert.ok(!lines.includes(text), text);
  });
});
