import assert from 'node:assert/strict';
import { readFirstBoot } from '../../../lab/machine/index.ts';
import { Bench, bondConfig, mebibyte, nics, rootDisk, seed, sha256, smallImage } from './bench.ts';
import { until } from './until.ts';

describe('a simulated machine in the ramdisk', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = new Bench();
    await bench.start();
  });
  afterEach(() => bench.stop());

  it('tells its inventory and powers off', async () => {
    const { inventory } = (await bench.runOrder()) as {
      inventory: { nics: unknown; disks: { serial: string }[] };
    };
    assert.deepEqual(
      inventory.nics,
      nics.map((mac, n) => ({ name: `eth${n}`, mac, linkUp: true, speedMbps: 10_000, neighbour: null })),
    );
    assert.deepEqual(
      inventory.disks.map((disk) => disk.serial),
      ['S1'],
    );
    assert.deepEqual(bench.boot.requests, [
      'GET /boot.ipxe',
      'GET /boot/v1/script',
      'GET /boot/v1/ramdisk/vmlinuz',
      'GET /boot/v1/ramdisk/initrd',
      'GET /boot/v1/agent/order',
      'POST /boot/v1/agent/result',
    ]);
  });

  for (const encoding of ['raw', 'gzip'] as const) {
    it(`writes a ${encoding} image and first-boot files to the disk file, and reports progress`, async () => {
      const image = smallImage(encoding);
      bench.boot.giveImage(image, rootDisk, seed(bondConfig));
      const result = (await bench.runOrder()) as { ok: boolean; deploy: Record<string, unknown> };
      assert.equal(result.ok, true);
      assert.equal(result.deploy['sha256'], sha256(image.stored));
      assert.equal(result.deploy['rawBytes'], mebibyte);
      const raw = smallImage().stored;
      assert.equal(sha256(bench.diskBytes().subarray(0, mebibyte)), sha256(raw));
      assert.deepEqual(readFirstBoot(bench.machine.disks[0]!), { label: 'cidata', files: seed(bondConfig) });
      assert.ok(bench.boot.progress.length > 0);
      const percents = bench.boot.progress.map((p) => p.percent!);
      assert.deepEqual(
        percents,
        percents.toSorted((a, b) => a - b),
      );
      const { image: name, bootable, instanceId } = bench.machine.diskContent(bench.machine.disks[0]!);
      assert.deepEqual(
        { name, bootable, instanceId },
        { name: 'lab-linux', bootable: true, instanceId: 'i-1' },
      );
    });

    it(`goes on by Range where a ${encoding} transfer broke, into the same unpacker`, async () => {
      const image = smallImage(encoding);
      bench.boot.cutAfter = [300_000, 600_000];
      bench.boot.giveImage(image, rootDisk, null);
      const result = await bench.runOrder();
      assert.equal(result['ok'], true);
      assert.equal(bench.boot.ranges.length, 3);
      assert.equal(bench.boot.ranges[0], undefined);
      assert.match(bench.boot.ranges[1]!, /^bytes=[1-9]\d*-$/);
      assert.equal(sha256(bench.diskBytes().subarray(0, mebibyte)), sha256(smallImage().stored));
    });
  }

  it('loses the transfer in the moment when its port moves, and goes on when it is back', async () => {
    bench.boot.holdAt = 512 * 1024;
    bench.boot.giveImage(smallImage(), rootDisk, null);
    bench.on('pxe');
    await until('half of the image', () => bench.boot.ranges.length === 1 && bench.boot.progress.length > 0);
    bench.torA.set('p1', { native: 200 });
    await until('every connection gone', () => bench.boot.openConnections === 0);
    bench.boot.holdAt = Number.POSITIVE_INFINITY;
    await until('a try without a path', () =>
      bench.machine.console.some((line) => line.includes('does not reach')),
    );
    assert.equal(bench.boot.ranges.length, 1);
    assert.equal(bench.boot.results.length, 0);
    bench.torA.set('p1', { native: 100 });
    await bench.phase('off');
    assert.equal(bench.boot.results[0]!['ok'], true);
    assert.match(bench.boot.ranges[1]!, /^bytes=[1-9]\d*-$/);
  });

  it('repeats calls after 5xx and while the service is away', async () => {
    bench.boot.fault = (path, seen) =>
      (path.endsWith('/order') && seen <= 2) || (path.endsWith('/result') && seen <= 3) ? 503 : null;
    const result = await bench.runOrder();
    assert.equal(result['ok'], true);
    assert.equal(bench.boot.requests.filter((r) => r.endsWith('/order')).length, 3);
    assert.equal(bench.boot.requests.filter((r) => r.endsWith('/result')).length, 4);
  });

  it('never repeats a refused call, and powers off', async () => {
    bench.boot.fault = (path) => (path.endsWith('/order') ? 410 : null);
    bench.on('pxe');
    await until('the refusal', () => bench.boot.requests.some((r) => r.endsWith('/order')));
    await bench.phase('off');
    assert.equal(bench.boot.requests.filter((r) => r.endsWith('/order')).length, 1);
    assert.deepEqual(bench.boot.results, []);
  });

  it('stops writing when its progress is refused, even while no byte comes: the order is over', async () => {
    bench.boot.holdAt = 512 * 1024;
    bench.boot.fault = (path) => (path.endsWith('/progress') ? 410 : null);
    bench.boot.giveImage(smallImage(), rootDisk, null);
    bench.on('pxe');
    await until('the transfer', () => bench.boot.ranges.length === 1);
    await bench.phase('off');
    assert.deepEqual(bench.boot.results, []);
    assert.equal(bench.machine.diskContent(bench.machine.disks[0]!).bootable, false);
  });

  it('keeps asking for its script while the service has none', async () => {
    bench.boot.fault = (path, seen) => (path.endsWith('/script') && seen <= 3 ? 500 : null);
    assert.equal((await bench.runOrder())['ok'], true);
  });

  it('reports a checksum that is wrong, and leaves nothing that boots', async () => {
    bench.machine.behaviours.add({ kind: 'corrupts-image' }, 1);
    bench.boot.giveImage(smallImage(), rootDisk, seed(bondConfig));
    const result = (await bench.runOrder()) as { ok: boolean; error: { code: string } };
    assert.deepEqual([result.ok, result.error.code], [false, 'checksum']);
    assert.deepEqual(bench.machine.diskContent(bench.machine.disks[0]!).image, null);
  });

  it('reports a corrupt gzip stream as a checksum too', async () => {
    bench.machine.behaviours.add({ kind: 'corrupts-image' }, 1);
    bench.boot.giveImage(smallImage('gzip'), rootDisk, null);
    const result = (await bench.runOrder()) as { error: { code: string } };
    assert.equal(result.error.code, 'checksum');
  });

  for (const [what, disk] of [
    ['another serial', { ...rootDisk, serial: 'S2' }],
    ['only the name of a disk that has a serial', { ...rootDisk, serial: '' }],
  ] as const) {
    it(`refuses a root disk with ${what}`, async () => {
      bench.boot.giveImage(smallImage(), disk, null);
      const result = (await bench.runOrder()) as { error: { code: string } };
      assert.equal(result.error.code, 'no-disk');
    });
  }

  it('refuses an image that is larger than the disk', async () => {
    bench.boot.giveImage({ ...smallImage(), rawBytes: 9 * mebibyte }, rootDisk, null);
    const result = (await bench.runOrder()) as { error: { code: string } };
    assert.equal(result.error.code, 'no-disk');
    assert.deepEqual(bench.boot.ranges, []);
  });

  it('asks over its second NIC when the first one is dead', async () => {
    bench.machine.behaviours.add({ kind: 'dead-nic', nic: 'eth0' });
    const { inventory } = (await bench.runOrder()) as { inventory: { nics: { linkUp: boolean }[] } };
    assert.deepEqual(
      inventory.nics.map((nic) => nic.linkUp),
      [false, true],
    );
  });

  it('does not reach the service when the trunk does not carry the provisioning VLAN', async () => {
    bench.machine.behaviours.add({ kind: 'dead-nic', nic: 'eth0' });
    bench.torB.set('trunk', { tagged: [200, 300] });
    bench.on('pxe');
    await bench.phase('no-bootable-device');
    assert.deepEqual(bench.boot.requests, []);
  });

  it('needs `initrd=NAME` under UEFI, and the ramdisk hangs without', async () => {
    const efi = new Bench({ firmware: 'efi' });
    await efi.start();
    try {
      efi.boot.kernelWords = '';
      efi.on('pxe');
      await efi.phase('hung');
      assert.deepEqual(efi.boot.results, []);
    } finally {
      await efi.stop();
    }
  });
});
