import assert from 'node:assert/strict';
import {
  CodedError,
  parseSecretReference,
  resolveSecret,
  type SecretSources,
} from '../../plugin-api/index.ts';

const sources: SecretSources = {
  env: { TOR: 'from-env', EMPTY: '' },
  readFile: (path) => {
    if (path === '/secret') return 'from-file \n';
    if (path === '/crlf') return 'from-file\r\n';
    if (path === '/empty') return '\n';
    throw Object.assign(new Error(`ENOENT: no such file, open '${path}'`), { code: 'ENOENT' });
  },
};
const resolved = (text: string): string => resolveSecret(parseSecretReference(text), sources).reveal();

describe('secret reference', () => {
  it('is the text itself, an environment variable or a file', () => {
    assert.equal(resolved('pass word'), 'pass word');
    assert.equal(resolved(''), '');
    assert.equal(resolved('env:TOR'), 'from-env');
    assert.equal(resolved('file:/crlf'), 'from-file');
  });

  it('takes off one line end of a file and nothing else', () => {
    assert.equal(resolved('file:/secret'), 'from-file ');
  });

  it('does not print what it holds', () => {
    assert.equal(JSON.stringify(parseSecretReference('hunter2')), '{"from":"literal","secret":"***"}');
  });

  for (const [text, what, remedy] of [
    ['env:ABSENT', /environment variable ABSENT is not set/, /set it/],
    ['env:EMPTY', /environment variable EMPTY is not set/, /set it/],
    ['env:toString', /environment variable toString is not set/, /set it/],
    ['file:/absent', /secret file \/absent cannot be read \(ENOENT\)/, /let the service read it/],
    ['file:/empty', /secret file \/empty is empty/, /write the secret/],
  ] as const) {
    it(`refuses ${text}, saying why`, () => {
      assert.throws(
        () => resolved(text),
        (thrown) => {
          assert.ok(thrown instanceof CodedError);
          assert.deepEqual([thrown.code, thrown.retry], ['secret.unresolved', 'operator']);
          assert.match(thrown.what, what);
          assert.match(thrown.remedy!, remedy);
          return true;
        },
      );
    });
  }
});
