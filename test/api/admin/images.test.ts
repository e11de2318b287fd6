import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync, chmodSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { requirePeer } from '../../support/peers.ts';
import { until } from '../../support/until.ts';
import { AdminService, assertRefused, type Answer } from './admin-service.ts';

/** What could be on a disk: a boot sector, and something that does not compress to nothing. */
function disk(bytes: number): Buffer {
  const content = randomBytes(bytes);
  content.fill(0, 0, 510);
  content.writeUInt16LE(0xaa55, 510);
  return content;
}

describe('admin API: images', () => {
  const service = new AdminService();
  before(() => {
    // The real qemu-img, but for the disk of 1 MiB that never ends.
    const qemuImg = join(service.folder, 'qemu-img');
    const never = `if [ "$1" = info ] && [ "$(od -An -tx1 -j28 -N4 "$last" | tr -d ' ')" = 00100000 ]`;
    writeFileSync(
      qemuImg,
      `#!/bin/sh\n[ "$1" != --version ] || exit 0\nfor last; do :; done\n${never}; then touch '${service.folder}/begun'; exec sleep 60; fi\nexec qemu-img "$@"\n`,
    );
    chmodSync(qemuImg, 0o755);
    appendFileSync(service.configFile, `provisioning: {conversion: {qemuImg: ${qemuImg}}}\n`);
    return service.start();
  });
  after(() => service.dispose());

  const add = (query: string, raw: Buffer): Promise<Answer> =>
    service.call('POST', `/images?${query}`, { raw, type: 'application/octet-stream' });
  const files = (): readonly string[] =>
    readdirSync(join(service.folder, 'state', 'images')).filter((name) => name.startsWith('image-'));

  it('takes a raw image and tells what it is', async () => {
    const content = disk(256 * 1024);
    const added = await add('name=debian-12&alias=debian&alias=https://example.org/debian.img', content);
    assert.equal(added.status, 201, added.text);
    const { image } = added.json;
    assert.equal(image.encoding, 'raw');
    assert.equal(image.rawBytes, content.length);
    assert.equal(image.storedBytes, content.length);
    assert.equal(image.sha256, createHash('sha256').update(content).digest('hex'));
    assert.deepEqual(image.aliases, ['debian', 'https://example.org/debian.img']);
    assert.equal(image.canBond, true);
    assert.equal(image.firstBoot, 'nocloud');
  });

  it('takes a gzip image and measures what it unpacks to', async () => {
    const added = await add('name=tiny&canBond=false&firstBoot=none', gzipSync(disk(64 * 1024)));
    assert.equal(added.status, 201, added.text);
    const { encoding, rawBytes, canBond, firstBoot } = added.json.image;
    assert.deepEqual([encoding, rawBytes, canBond, firstBoot], ['gzip', 64 * 1024, false, 'none']);
  });

  it('converts a qcow2 image, and compares the checksum of what was uploaded', async function () {
    requirePeer(this, 'qemu-img');
    const content = disk(256 * 1024);
    const [raw, qcow2] = ['disk.raw', 'disk.qcow2'].map((name) => join(service.folder, name));
    writeFileSync(raw!, content);
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw!, qcow2!]);
    const upload = readFileSync(qcow2!);
    const sum = createHash('sha256').update(upload).digest('hex');
    const wrong = createHash('sha256').update(content).digest('hex');
    assertRefused(await add(`name=debian-13&sha256=${wrong}`, upload), 400, 'image.checksum');
    assertRefused(await add('name=debian-13&sha256=abc', upload), 400, 'request.invalid');
    const added = await add(`name=debian-13&sha256=${sum.toUpperCase()}`, upload);
    assert.equal(added.status, 201, added.text);
    assert.equal(added.json.image.rawBytes, content.length);
    assert.match(added.json.image.encoding, /^(zstd|gzip)$/);
    assert.equal((await service.call('DELETE', '/images/debian-13')).status, 204);
  });

  it('a client that goes away ends the conversion', async () => {
    const header = Buffer.alloc(65536);
    Buffer.from('514649fb00000003', 'hex').copy(header);
    header.writeBigUInt64BE(1024n * 1024n, 24);
    const url = new URL(`${service.url}/api/v1/images?name=gone`);
    const headers = { authorization: `Bearer ${service.token}`, 'content-length': header.length };
    const request = http.request(url, { method: 'POST', headers });
    const closed = new Promise((resolve) => request.on('error', () => undefined).on('close', resolve));
    request.end(header);
    const adding = async (): Promise<unknown> =>
      (JSON.parse((await service.get('/images')).text) as { readonly adding: unknown }).adding;
    await until(async () => existsSync(join(service.folder, 'begun')));
    assert.deepEqual(await adding(), [{ name: 'gone', doing: 'converting', percent: 0 }]);
    request.destroy();
    await closed;
    await until(async () => ((await adding()) as readonly unknown[]).length === 0);
    assert.doesNotMatch(service.log, /internal\.bug/);
  });

  it('lists them', async () => {
    const { images } = (await service.get('/images')).json;
    assert.deepEqual(images.map((image) => image.name).sort(), ['debian-12', 'tiny']);
    assert.equal(files().length, 2);
  });

  it('refuses a name or alias that is taken, and leaves no file behind', async () => {
    assertRefused(await add('name=debian-12', disk(1024)), 400, 'image.exists');
    assertRefused(await add('name=other&alias=debian', disk(1024)), 400, 'image.exists');
    assert.equal(files().length, 2);
  });

  it('refuses what cannot be streamed to a disk, with an answer, in the middle of a large upload', async () => {
    // A qcow2 file: longer than what fits into the buffers between us, so that the refusal comes before its end.
    const qcow2 = Buffer.concat([Buffer.from('QFI\u00fb', 'latin1'), Buffer.alloc(24 * 1024 * 1024)]);
    assertRefused(await add('name=qcow', qcow2), 400, 'image.format');
    assertRefused(await add('name=empty', Buffer.alloc(0)), 400, 'image.format');
    assert.equal(files().length, 2);
  });

  it('refuses queries that are misshapen', async () => {
    for (const query of [
      '',
      'name=',
      'name=a b',
      'name=x&canBond=maybe',
      'name=x&rawBytes=-1',
      'name=x&firstBoot=y',
    ])
      assertRefused(await add(query, disk(1024)), 400, 'request.invalid');
    assertRefused(await add('name=x&rawBytes=7', disk(1024)), 400, 'request.invalid');
  });

  it('an upload that breaks off leaves nothing behind, and no alarm in the log', async () => {
    const url = new URL(`${service.url}/api/v1/images?name=broken`);
    const headers = { authorization: `Bearer ${service.token}`, 'content-length': '1000000' };
    await new Promise<void>((resolve) => {
      const request = http.request(url, { method: 'POST', headers });
      request.on('error', () => undefined).on('close', resolve);
      request.write(disk(4096), () => request.destroy());
    });
    await service.until('/images', ({ images }) => images.length === 2);
    assert.equal(files().length, 2);
    assert.equal((await add('name=broken', disk(4096))).status, 201);
    assert.equal((await service.call('DELETE', '/images/broken')).status, 204);
    assert.doesNotMatch(service.log, /internal\.bug/);
  });

  it('removes one with its file, once', async () => {
    assert.equal((await service.call('DELETE', '/images/tiny')).status, 204);
    assertRefused(await service.call('DELETE', '/images/tiny'), 404, 'request.not-found');
    assert.equal(files().length, 1);
    const { images } = (await service.get('/images')).json;
    assert.deepEqual(
      images.map((image) => image.name),
      ['debian-12'],
    );
  });
});
