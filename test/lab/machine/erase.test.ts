import assert from 'node:assert/strict';
import fs from 'node:fs';
import type { ErasedDisk } from '../../../lab/machine/index.ts';
import { Bench, mebibyte, rootDisk } from './bench.ts';

const second = { name: 'vdb', serial: 'S2', bytes: 4 * mebibyte, secureCapable: true };
const third = { name: 'sr0', serial: 'RO', bytes: mebibyte, readOnly: true };

describe('erase', () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = new Bench({ disks: [rootDisk, second, third] });
    await bench.start();
    for (const disk of bench.machine.disks) fs.writeFileSync(disk.file, Buffer.alloc(disk.bytes, 0xab));
  });
  afterEach(() => bench.stop());

  async function erase(grade: string, disks: readonly object[] = [rootDisk, second]) {
    bench.boot.give({ id: 'op-9', phase: 'erase', grade, disks });
    return (await bench.runOrder()) as {
      ok: boolean;
      erase?: { disks: ErasedDisk[] };
      error?: { code: string; said: string };
    };
  }
  const bytesOf = (n: number): Buffer => fs.readFileSync(bench.machine.disks[n]!.file);
  const isZero = (bytes: Buffer): boolean => bytes.every((byte) => byte === 0);

  it('full zeroes every byte of every writable disk, and says so', async () => {
    const { erase: report } = await erase('full');
    assert.deepEqual(
      [0, 1].map((n) => isZero(bytesOf(n))),
      [true, true],
    );
    assert.equal(bytesOf(0).length, rootDisk.bytes);
    assert.deepEqual(
      report!.disks.map((d) => [d.serial, d.grade, d.method, d.signaturesLeft, d.samples, d.dirtySamples]),
      [
        ['S1', 'full', 'overwrite-zero', 0, 64, 0],
        ['S2', 'full', 'overwrite-zero', 0, 64, 0],
      ],
    );
    assert.equal(bytesOf(2)[0], 0xab);
  });

  it('quick zeroes both ends, and the middle can be read in the report and on the disk', async () => {
    const { erase: report } = await erase('quick');
    const bytes = bytesOf(0);
    const quarter = rootDisk.bytes / 4;
    assert.ok(isZero(bytes.subarray(0, quarter)) && isZero(bytes.subarray(-quarter)));
    assert.ok(bytes.subarray(quarter, -quarter).every((byte) => byte === 0xab));
    assert.equal(report!.disks[0]!.grade, 'quick');
    assert.equal(report!.disks[0]!.signaturesLeft, 0);
    assert.ok(report!.disks[0]!.dirtySamples > 16);
  });

  it('secure uses what the disk has, a full overwrite otherwise', async () => {
    const { erase: report } = await erase('secure');
    assert.deepEqual(
      report!.disks.map((d) => [d.serial, d.secureCapable, d.grade, d.method]),
      [
        ['S1', false, 'full', 'overwrite-zero'],
        ['S2', true, 'secure', 'secure-erase'],
      ],
    );
    assert.ok(isZero(bytesOf(0)) && isZero(bytesOf(1)));
  });

  it('covers a disk that the order does not name', async () => {
    const { erase: report } = await erase('full', [rootDisk]);
    assert.equal(report!.disks.length, 2);
    assert.ok(isZero(bytesOf(1)));
  });

  it('fails when a disk of the order is not there, naming it', async () => {
    bench.machine.behaviours.add({ kind: 'disk-missing', disk: 'vdb' });
    const { ok, error } = await erase('full');
    assert.equal(ok, false);
    assert.equal(error!.code, 'disk-missing');
    assert.match(error!.said, /S2/);
  });

  it('that skips writing is told by its own samples', async () => {
    bench.machine.behaviours.add({ kind: 'erase-skips', disk: 'vda' });
    const { erase: report } = await erase('full');
    assert.equal(report!.disks[0]!.dirtySamples, 64);
    assert.equal(report!.disks[0]!.signaturesLeft, 2);
  });
});
