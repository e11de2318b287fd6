import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { Secret } from '../../plugin-api/index.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { readBackup, type SqlScalar } from '../../src/store/backup/backup-file.ts';
import { restoreSqlite } from '../../src/store/backup/restore-backup.ts';
import { sqliteSource } from '../../src/store/backup/sqlite-source.ts';
import { writeBackup } from '../../src/store/backup/write-backup.ts';
import { openStorage, type SqlStorage } from '../../src/store/open-storage.ts';
import { rejectsWith } from './rejects-with.ts';
import { claim, deployment, machine, operation, step, switchRecord } from './samples.ts';

const key = { base64: new Secret(randomBytes(32).toString('base64')) };
const clock = new SystemClock();

describe('backup and restore of a SQLite database', () => {
  let folder: string;
  let file: string;
  let storage: SqlStorage | null;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'csbm-backup-'));
    file = join(folder, 'csbm.sqlite');
    storage = await openStorage({ type: 'sqlite', file, key, clock });
  });

  afterEach(async () => {
    await storage?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const closed = async (): Promise<void> => {
    await storage?.close();
    storage = null;
  };

  async function fill(count: number): Promise<void> {
    await storage!.run(async (tx) => {
      await tx.history.read();
      await tx.racks.replace('the text', [switchRecord('tor-a')], []);
      for (let n = 1; n <= count; n++) {
        await tx.machines.insert(machine(n));
        await tx.history.advance(machine(n).id);
        await tx.claims.insert(claim(n));
        await tx.deployments.insert(deployment(n));
        await tx.journal.insert(operation(`op-${n}`, n));
        await tx.journal.putStep(step(`op-${n}`, 0));
      }
    });
  }

  async function backup(name = 'one.csbm-backup'): Promise<string> {
    const to = join(folder, name);
    const source = sqliteSource(file);
    try {
      await writeBackup({ source, file: to, version: '1.2.3', now: 1_000 });
    } finally {
      await source.close();
    }
    return to;
  }

  /** Every row of every table. */
  async function dump(): Promise<Record<string, (readonly SqlScalar[])[]>> {
    const source = sqliteSource(file);
    const found: Record<string, (readonly SqlScalar[])[]> = {};
    for (const [table, columns] of await source.tables()) {
      found[table] = [];
      for await (const rows of source.rows(table, columns)) found[table].push(...rows);
    }
    await source.close();
    return found;
  }

  it('brings every row back, and marks the database as restored', async () => {
    await fill(3);
    const made = await backup();
    assert.equal(statSync(made).mode & 0o777, 0o600);
    const before = await dump();
    await storage!.run(async (tx) => tx.claims.delete(machine(2).id, claim(2).externalId));
    await closed();
    const { aside, backup: found } = await restoreSqlite({ file, from: made, key, now: 5_000 });
    assert.equal(found.manifest.version, '1.2.3');
    assert.equal(found.counts['machine'], 3);
    const after = await dump();
    const marked = after['history'];
    assert.deepEqual({ ...after, history: [] }, { ...before, history: [] });
    assert.match(JSON.stringify(marked), /restored from a backup of 1970-01-01T00:00:01/);
    assert.ok(aside !== null && statSync(aside).size > 0);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.includes('restoring')),
      [],
    );
    storage = await openStorage({ type: 'sqlite', file, key, clock });
    const password = await storage.run(async (tx) => (await tx.machines.find(machine(1).id))!.bmc!.password);
    assert.equal(password.reveal(), machine(1).bmc!.password.reveal());
    const { restored } = await storage.run((tx) => tx.history.read());
    assert.deepEqual([restored?.backupAt, restored?.acceptedAt], [1_000, null]);
  });

  it('shows one moment, whatever is written meanwhile', async () => {
    await fill(2);
    const to = join(folder, 'moment.csbm-backup');
    const source = sqliteSource(file);
    await storage!.run(async (tx) => {
      await tx.machines.insert(machine(3));
      await tx.claims.insert(claim(3));
    });
    const { counts } = await writeBackup({ source, file: to, version: '0', now: 1 });
    await source.close();
    assert.deepEqual([counts['machine'], counts['claim']], [2, 2]);
    // Nobody was held up, and the next backup has it all.
    assert.equal((await readBackup(await backup())).counts['machine'], 3);
  });

  it('holds no password in the clear, and no key', async () => {
    await fill(1);
    const text = gunzipSync(readFileSync(await backup())).toString();
    assert.ok(!text.includes(machine(1).bmc!.password.reveal()));
    assert.ok(!text.includes(key.base64.reveal()));
  });

  it('replaces no file', async () => {
    const made = await backup();
    const bytes = readFileSync(made);
    await rejectsWith(backup(), 'backup.exists');
    assert.deepEqual(readFileSync(made), bytes);
  });

  it('is not restored while a service uses the database', async () => {
    const made = await backup();
    await rejectsWith(restoreSqlite({ file, from: made, key, now: 1 }), 'store.locked');
  });

  it('is not restored with another key', async () => {
    await fill(1);
    const made = await backup();
    await closed();
    const before = await dump();
    const other = { base64: new Secret(randomBytes(32).toString('base64')) };
    await rejectsWith(restoreSqlite({ file, from: made, key: other, now: 1 }), 'store.secret');
    assert.deepEqual(await dump(), before);
  });

  it('is not restored where anything of it is missing, changed or added; the database stays', async () => {
    await fill(2);
    const made = await backup();
    const whole = gunzipSync(readFileSync(made)).toString();
    await closed();
    const before = await dump();
    const lines = whole.trimEnd().split('\n');
    const machines = lines.findIndex((line) => line.startsWith('{"table":"machine"'));
    const spoilt: Record<string, Buffer> = {
      empty: Buffer.alloc(0),
      'no gzip': Buffer.from('hello'),
      'cut off': readFileSync(made).subarray(0, -20),
      'without its end': gzipSync(`${lines.slice(0, -1).join('\n')}\n`),
      'without a line': gzipSync(`${lines.toSpliced(machines, 1).join('\n')}\n`),
      'a value changed': gzipSync(whole.replace('"acme/i-2-1-VM"', '"acme/i-2-9-VM"')),
      'something after the end': gzipSync(`${whole}${lines[machines]!}\n`),
      'another document': gzipSync('{"format":2}\n{"end":true}\n'),
    };
    for (const [name, bytes] of Object.entries(spoilt)) {
      const from = join(folder, 'spoilt');
      writeFileSync(from, bytes);
      await rejectsWith(restoreSqlite({ file, from, key, now: 1 }), 'backup.broken').catch(
        (error: unknown) => {
          throw new Error(`${name}: ${String(error)}`);
        },
      );
    }
    await rejectsWith(restoreSqlite({ file, from: join(folder, 'none'), key, now: 1 }), 'backup.broken');
    assert.deepEqual(await dump(), before);
    assert.deepEqual(
      readdirSync(folder).filter((name) => /restoring|aside|before-restore/.test(name)),
      [],
    );
  });

  it('is not restored by an older version than made it', async () => {
    const made = await backup();
    await closed();
    const text = gunzipSync(readFileSync(made)).toString();
    const from = join(folder, 'newer');
    writeFileSync(from, gzipSync(text.replace('"migrations":[', '"migrations":["Tomorrow9999999999999",')));
    // Its checksum is wrong too; the version is what a person must be told of a whole one.
    const lines = gunzipSync(readFileSync(from)).toString().trimEnd().split('\n');
    const { createHash } = await import('node:crypto');
    const head = `${lines.slice(0, -1).join('\n')}\n`;
    const end = JSON.parse(lines.at(-1)!) as object;
    const sha256 = createHash('sha256').update(head).digest('hex');
    writeFileSync(from, gzipSync(`${head}${JSON.stringify({ ...end, sha256 })}\n`));
    await rejectsWith(restoreSqlite({ file, from, key, now: 1 }), 'backup.newer');
  });
});
