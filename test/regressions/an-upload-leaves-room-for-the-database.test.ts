import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { ImageLibrary } from '../../src/operations/images/image-library.ts';
import { quiet } from '../operations/boot/boot-samples.ts';
import { tempStorage } from '../support/temp-storage.ts';

// An image that was larger than the disk was written until nothing was left. The database lies on the same disk unless told otherwise:
// every operation that was under way then failed because it could not be written down.
it('an image that would fill the disk is refused before it is full', async function () {
  this.timeout(30_000);
  const mebibyte = 1024 * 1024;
  const temp = await tempStorage();
  const folder = mkdtempSync(join(tmpdir(), 'csbm-room-'));
  let free = 400 * mebibyte;
  const library = new ImageLibrary({
    storage: temp.storage,
    folder,
    clock: new SystemClock(),
    log: quiet,
    conversion: { freeBytes: async () => free },
  });
  try {
    await library.start();
    const chunk = Buffer.alloc(mebibyte, 'data');
    const bytes = async function* (mebibytes: number): AsyncGenerator<Buffer> {
      for (let sent = 0; sent < mebibytes; sent += 1) {
        free -= mebibyte;
        yield chunk;
      }
    };
    const wanted = { canBond: true, firstBoot: 'none', aliases: [] } as const;
    await assert.rejects(library.add({ ...wanted, name: 'large' }, bytes(400)), {
      code: 'image.storage',
      remedy: /provisioning\.imageDir/,
    });
    assert.ok(free >= 192 * mebibyte, `${free} bytes were left`);
    assert.deepEqual(readdirSync(folder, { recursive: true }), ['tmp']);
    // What is small is no danger, and is taken however little there is.
    await library.add({ ...wanted, name: 'small' }, bytes(2));
  } finally {
    await library.stop();
    await temp.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
