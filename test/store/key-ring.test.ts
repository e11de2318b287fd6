import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '../../plugin-api/index.ts';
import { ServiceError } from '../../src/kernel/errors/service-error.ts';
import { loadKeyRing } from '../../src/store/secrets/key-ring.ts';

const isSecretError = (error: unknown): boolean =>
  error instanceof ServiceError && error.code === 'store.secret';

describe('key ring', () => {
  let directory: string;
  let file: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'csbm-key-'));
    file = join(directory, 'secret.key');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('makes a key file that only its owner may use, once', () => {
    const made = loadKeyRing({ file }, true);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(directory), ['secret.key']);
    const text = readFileSync(file, 'utf8');
    assert.equal(loadKeyRing({ file }, true).sealing, made.sealing);
    assert.equal(readFileSync(file, 'utf8'), text);
  });

  it('does not make one where the database is there already', () => {
    assert.throws(() => loadKeyRing({ file }, false), isSecretError);
    assert.deepEqual(readdirSync(directory), []);
  });

  for (const mode of [0o640, 0o604, 0o660, 0o620]) {
    it(`refuses a key file of mode ${mode.toString(8)}`, () => {
      loadKeyRing({ file }, true);
      chmodSync(file, mode);
      assert.throws(() => loadKeyRing({ file }, true), isSecretError);
    });
  }

  it('replaces the draft that a crash left behind, whatever its mode', () => {
    writeFileSync(`${file}.new`, 'half', { mode: 0o644 });
    loadKeyRing({ file }, true);
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  it('seals with the first of several keys, and knows all', () => {
    const [a, b] = [randomBytes(32), randomBytes(32)].map((key) => key.toString('base64'));
    const of = (text: string) => loadKeyRing({ base64: new Secret(text) }, false);
    const both = of(`${b}\n${a}\n`);
    assert.equal(both.sealing, of(b!).sealing);
    assert.deepEqual(both.ids, [of(b!).sealing, of(a!).sealing]);
  });

  it('refuses a key of the wrong length, and does not tell it', () => {
    const short = randomBytes(16).toString('base64');
    for (const text of ['', '\n', short, `${randomBytes(32).toString('base64')} ${short}`]) {
      assert.throws(
        () => loadKeyRing({ base64: new Secret(text) }, false),
        (error) => isSecretError(error) && !(error as Error).message.includes(short),
      );
    }
  });
});
