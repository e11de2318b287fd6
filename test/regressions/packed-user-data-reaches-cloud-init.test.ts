import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { userDataOf } from '../../src/api/maas/deploy-image.ts';
import { Fields } from '../../src/api/maas/fields.ts';
import { MaasRefusal } from '../../src/api/maas/maas-refusal.ts';

const given = (bytes: Buffer): string | null =>
  userDataOf(new Fields([['user_data', bytes.toString('base64')]]));

// Juju packs its user data by gzip: it was read as text, and the machine booted with replacement characters.
describe('user data over the MAAS API', () => {
  const text = '#cloud-config\nhostname: größe\n';

  it('is the same, packed by gzip or not', () => {
    assert.equal(given(Buffer.from(text)), text);
    assert.equal(given(gzipSync(text)), text);
    assert.equal(userDataOf(new Fields([['user_data', text]])), text);
  });

  it('that is neither text nor gzip is refused, and so is what unpacks without end', () => {
    const broken = gzipSync(text).subarray(0, 20);
    for (const bytes of [Buffer.from([0xff, 0xfe, 0x00]), broken, gzipSync(Buffer.alloc(9 * 2 ** 20))])
      assert.throws(
        () => given(bytes),
        (thrown) =>
          thrown instanceof MaasRefusal && thrown.status === 400 && /user_data/.test(thrown.message),
      );
  });
});
