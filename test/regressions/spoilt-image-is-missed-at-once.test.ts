import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ServiceError } from '../../src/kernel/errors/service-error.ts';
import { stopRetry } from '../../src/api/cloudstack-agent/stop-retry.ts';
import { imageFileFault } from '../../src/operations/image-file-fault.ts';

// An image whose file was gone was missed only by the machine that had booted to install it: ten minutes later the Start failed as
// "the machine fell silent", and CloudStack tried the next machine.
describe('an image whose file is not what it was', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'csbm-image-fault-'));
  const file = path.join(directory, 'image');
  const images = {
    file: (name: string) =>
      Promise.resolve(name === 'debian' ? { path: file, storedBytes: 10, sha256: 'x' } : null),
  };

  after(() => rmSync(directory, { recursive: true, force: true }));

  it('is told from one that is there', async () => {
    writeFileSync(file, '0123456789');
    assert.equal(await imageFileFault(images, 'debian'), null);
    truncateSync(file, 3);
    assert.match((await imageFileFault(images, 'debian')) ?? '', /has 3 bytes on the server instead of 10/);
    rmSync(file);
    assert.match((await imageFileFault(images, 'debian')) ?? '', /the file of image "debian" is gone/);
    assert.match((await imageFileFault(images, 'other')) ?? '', /there is no image "other"/);
  });

  it('stops CloudStack from trying the next machine', () => {
    assert.ok(stopRetry(new ServiceError({ code: 'image.storage', what: 'gone' })));
  });
});
