import assert from 'node:assert/strict';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '../../plugin-api/index.ts';
import { askerOf } from '../../src/core/access/principal.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { Access } from '../../src/operations/access.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';

// The administrator was stored before its token file was written. A file that lay there, a full disk or a kill in between left a
// database whose only administrator nobody could be: the next start, two seconds later under systemd, went on without a word. And
// of two rotations at once each told a token, or failed with ENOENT, and the file had a third.
describe('the first administrator can log in', () => {
  let folder: string;
  let file: string;
  let temp: TempStorage;
  let access: Access;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'csbm-first-admin-'));
    file = join(folder, 'admin.token');
    temp = await tempStorage();
    access = new Access(temp.storage, new SystemClock());
  });

  afterEach(async () => {
    await temp.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const inFile = (): string => readFileSync(file, 'utf8').trim();

  it('after a start that found an old token file, however often it was tried', async () => {
    writeFileSync(file, 'of another database\n');
    for (let start = 0; start < 3; start += 1)
      await assert.rejects(access.ensureFirstAdmin(null, file), { code: 'config.invalid' });
    assert.equal(inFile(), 'of another database');
    renameSync(file, `${file}.old`);
    assert.equal(await access.ensureFirstAdmin(null, file), file);
    assert.equal((await access.authenticate(inFile(), 'here')).role, 'admin');
  });

  it('after a start whose token file could not be written', async () => {
    const nowhere = join(folder, 'missing', 'admin.token');
    await assert.rejects(access.ensureFirstAdmin(null, nowhere), { code: 'config.invalid' });
    assert.equal(await access.ensureFirstAdmin(null, file), file);
    assert.equal((await access.authenticate(inFile(), 'here')).role, 'admin');
  });

  it('after a kill before the token file got its name', async () => {
    await access.ensureFirstAdmin(null, file);
    const token = inFile();
    renameSync(file, `${file}.new`);
    await access.ensureFirstAdmin(null, file);
    assert.deepEqual(readdirSync(folder), ['admin.token']);
    assert.equal(inFile(), token);
  });

  it('after a kill before the administrator was stored', async () => {
    writeFileSync(`${file}.new`, 'never in force\n');
    assert.equal(await access.ensureFirstAdmin(null, file), file);
    assert.ok(!existsSync(`${file}.new`));
    assert.equal((await access.authenticate(inFile(), 'here')).role, 'admin');
  });

  it('with a token that a request can carry: another one is refused', async () => {
    for (const token of ['with a space', 'tést', 'x'.repeat(513), 'two\nlines'])
      await assert.rejects(access.ensureFirstAdmin(new Secret(token), file), { code: 'config.invalid' });
    await access.ensureFirstAdmin(new Secret('x'.repeat(512)), file);
    assert.equal((await access.authenticate('x'.repeat(512), 'here')).role, 'admin');
  });

  it('after rotations at once', async () => {
    await access.ensureFirstAdmin(null, file);
    const by = askerOf(await access.authenticate(inFile(), 'here'), 'test', '');
    const made = await Promise.all([1, 2, 3].map(() => access.rotate('admin', null, by)));
    assert.equal(inFile(), made.at(-1)!.token);
    assert.equal((await access.authenticate(inFile(), 'here')).name, 'admin');
    assert.deepEqual(readdirSync(folder), ['admin.token']);
  });
});
