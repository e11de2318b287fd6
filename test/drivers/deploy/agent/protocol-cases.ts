import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import type { TinyBootService, TinyImage } from '../../../lab/machine/tiny-boot-service.ts';
import { sha256 } from '../../../lab/machine/bench.ts';
import { until } from '../../../support/until.ts';
import { mbrImage, mebibyte, content } from './sample-images.ts';

/** Whoever speaks the boot protocol from the machine's side: the ramdisk's scripts, or the simulated machine. */
export interface Subject {
  readonly boot: TinyBootService;
  /** Powers the machine on with a network boot; resolves when it is off again. */
  run(): Promise<void>;
  disk(name: string): Buffer;
  /** What the first-boot file system on the disk holds under that name. */
  firstBootFile(disk: string, name: string): string;
  log(): string;
  close(): Promise<void>;
}

export const subjectDisks = [
  { name: 'vda', serial: 'S1', bytes: 16 * mebibyte },
  { name: 'vdb', serial: 'S2', bytes: 8 * mebibyte },
] as const;
export const subjectNics = ['52:54:0a:00:00:01', '52:54:0a:01:00:01'] as const;

const [vda, vdb] = subjectDisks;
const firstBoot = {
  'meta-data': 'instance-id: "i-1"\n',
  'user-data': '#!/bin/sh\necho "$1" ä\n',
  'network-config': 'version: 2\n',
};

/** What docs/boot-protocol.md asks of every agent. The simulated machine and the real agent both pass. */
export function protocolCases(start: () => Promise<Subject>): void {
  let subject: Subject;
  let boot: TinyBootService;
  let raw: Buffer;
  before(() => {
    raw = mbrImage();
  });
  beforeEach(async () => {
    subject = await start();
    boot = subject.boot;
  });
  afterEach(() => subject.close());

  const image = (encoding: 'raw' | 'gzip' = 'raw'): TinyImage => ({
    stored: encoding === 'gzip' ? gzipSync(raw) : raw,
    rawBytes: raw.length,
    encoding,
  });

  async function result(): Promise<Record<string, unknown>> {
    await subject.run();
    assert.equal(boot.results.length, 1, subject.log());
    return boot.results[0]!;
  }
  async function failure(): Promise<{ code: string; said: string }> {
    const { ok, error } = (await result()) as { ok: boolean; error: { code: string; said: string } };
    assert.equal(ok, false, subject.log());
    return error;
  }
  const nothingOn = (name: string): boolean =>
    !subject.disk(name).includes(content(raw).subarray(0, 4096)) &&
    subject
      .disk(name)
      .subarray(0, 4096)
      .every((b) => b === 0);

  it('tells its inventory', async () => {
    const { inventory } = (await result()) as { inventory: Record<string, object[]> };
    assert.deepEqual(
      inventory['nics']!.map((nic) => (nic as { mac: string }).mac),
      subjectNics,
    );
    assert.deepEqual(
      (inventory['disks'] as { name: string; serial: string; bytes: number }[]).map(
        ({ name, serial, bytes }) => ({ name, serial, bytes }),
      ),
      subjectDisks,
    );
  });

  for (const encoding of ['raw', 'gzip'] as const) {
    it(`writes a ${encoding} image and the first-boot files to the disk of the order and no other`, async () => {
      const before = subject.disk(vdb.name);
      boot.giveImage(image(encoding), vda, firstBoot);
      const { ok, deploy } = (await result()) as { ok: boolean; deploy: Record<string, unknown> };
      assert.equal(ok, true, subject.log());
      const { seconds, ...report } = deploy;
      assert.ok(typeof seconds === 'number' && seconds >= 0);
      assert.deepEqual(report, {
        disk: 'vda',
        serial: 'S1',
        sha256: sha256(image(encoding).stored),
        rawBytes: raw.length,
      });
      assert.ok(
        subject
          .disk('vda')
          .subarray(mebibyte, raw.length - mebibyte)
          .equals(content(raw)),
      );
      for (const [name, text] of Object.entries(firstBoot))
        assert.equal(subject.firstBootFile('vda', name), text);
      assert.ok(subject.disk(vdb.name).equals(before), 'another disk was touched');
    });

    it(`goes on by Range where a ${encoding} transfer broke, into the same unpacker`, async () => {
      boot.cutAfter = [700_000, 1_500_000];
      boot.giveImage(image(encoding), vda, null);
      assert.equal((await result())['ok'], true, subject.log());
      assert.equal(boot.ranges.length, 3);
      assert.equal(boot.ranges[0], undefined);
      assert.match(boot.ranges[1]!, /^bytes=[1-9]\d*-$/);
      assert.ok(subject.disk('vda').subarray(0, raw.length).equals(raw));
    });
  }

  it('tells its progress while it writes', async () => {
    boot.holdAt = 2 * mebibyte;
    boot.giveImage(image(), vda, null);
    const off = subject.run();
    await until(() => boot.progress.some(({ percent }) => percent !== null), 'a percentage');
    boot.holdAt = Number.POSITIVE_INFINITY;
    await off;
    assert.equal(boot.results[0]!['ok'], true, subject.log());
    const percents = boot.progress.flatMap(({ percent }) => (percent === null ? [] : [percent]));
    assert.deepEqual(
      percents,
      percents.toSorted((a, b) => a - b),
    );
    assert.ok(percents.every((percent) => percent >= 0 && percent <= 100));
  });

  it('repeats calls after 5xx', async () => {
    boot.fault = (path, seen) =>
      (path.endsWith('/order') && seen <= 2) || (path.endsWith('/result') && seen <= 3) ? 503 : null;
    assert.equal((await result())['ok'], true);
    assert.equal(boot.requests.filter((r) => r.endsWith('/order')).length, 3);
    assert.equal(boot.requests.filter((r) => r.endsWith('/result')).length, 4);
  });

  it('repeats the image after 5xx', async () => {
    boot.fault = (path, seen) => (path.endsWith('/image') && seen <= 2 ? 503 : null);
    boot.giveImage(image('gzip'), vda, null);
    assert.equal((await result())['ok'], true, subject.log());
  });

  it('never repeats a refused call, and powers off', async () => {
    boot.fault = (path) => (path.endsWith('/order') ? 410 : null);
    await subject.run();
    assert.equal(boot.requests.filter((r) => r.endsWith('/order')).length, 1);
    assert.deepEqual(boot.results, []);
  });

  it('reports an image that is refused', async () => {
    boot.fault = (path) => (path.endsWith('/image') ? 404 : null);
    boot.giveImage(image(), vda, null);
    assert.equal((await failure()).code, 'fetch');
    assert.ok(nothingOn('vda'));
  });

  it('stops writing when its progress is refused, even while no byte comes', async () => {
    boot.holdAt = 2 * mebibyte;
    boot.fault = (path) => (path.endsWith('/progress') && boot.ranges.length > 0 ? 410 : null);
    boot.giveImage(image(), vda, null);
    await subject.run();
    assert.deepEqual(boot.results, []);
  });

  for (const encoding of ['raw', 'gzip'] as const) {
    it(`reports a wrong checksum of a ${encoding} image, and leaves nothing that boots`, async () => {
      boot.giveImage(image(encoding), vda, firstBoot);
      const stored = Buffer.from(boot.image!.stored);
      stored[stored.length >> 1]! ^= 0xff;
      boot.image = { ...boot.image!, stored };
      const { code, said } = await failure();
      assert.equal(code, 'checksum', said);
      assert.match(said, new RegExp(sha256(stored)));
      assert.ok(
        subject
          .disk('vda')
          .subarray(0, 4096)
          .every((byte) => byte === 0),
      );
    });
  }

  it('reports an image of another size than announced, and leaves nothing that boots', async () => {
    boot.giveImage({ ...image(), rawBytes: raw.length + 512 }, vda, null);
    assert.equal((await failure()).code, 'write');
    assert.ok(
      subject
        .disk('vda')
        .subarray(0, 4096)
        .every((byte) => byte === 0),
    );
  });

  for (const [what, disk] of [
    ['another serial', { ...vda, serial: 'S3' }],
    ['only the name of a disk that has a serial', { ...vda, serial: '' }],
  ] as const) {
    it(`refuses a root disk with ${what}, and touches none`, async () => {
      const before = subject.disk('vda');
      boot.giveImage(image(), disk, null);
      assert.equal((await failure()).code, 'no-disk');
      assert.ok(subject.disk('vda').equals(before));
      assert.deepEqual(boot.ranges, []);
    });
  }

  it('finds the root disk by its serial under another name', async () => {
    boot.giveImage(image(), { ...vda, name: 'sdc' }, null);
    const { deploy } = (await result()) as { deploy: { disk: string } };
    assert.equal(deploy.disk, 'vda');
  });

  it('refuses an image that is larger than the disk', async () => {
    boot.giveImage({ ...image(), rawBytes: 17 * mebibyte }, vda, null);
    assert.equal((await failure()).code, 'no-disk');
    assert.deepEqual(boot.ranges, []);
  });

  it('erases full: zeroes every writable disk, also one the order does not name', async () => {
    boot.give({ id: 'op-9', phase: 'erase', grade: 'full', disks: [vda] });
    const { erase } = (await result()) as { erase: { disks: Record<string, unknown>[] } };
    assert.deepEqual(
      erase.disks.map(({ seconds, ...disk }) => (assert.ok((seconds as number) >= 0), disk)),
      subjectDisks.map((disk) => ({
        ...disk,
        grade: 'full',
        method: 'overwrite-zero',
        secureCapable: false,
        signaturesLeft: 0,
        samples: 64,
        dirtySamples: 0,
      })),
    );
    for (const { name, bytes } of subjectDisks)
      assert.ok(subject.disk(name).equals(Buffer.alloc(bytes)), `${name} is not all zero`);
  });

  it('erases quick: zeroes both ends, and reports what is left as samples', async () => {
    boot.give({ id: 'op-9', phase: 'erase', grade: 'quick', disks: subjectDisks });
    const { erase } = (await result()) as { erase: { disks: Record<string, unknown>[] } };
    assert.deepEqual(
      erase.disks.map((disk) => [disk['name'], disk['grade'], disk['signaturesLeft']]),
      [
        ['vda', 'quick', 0],
        ['vdb', 'quick', 0],
      ],
    );
    assert.ok((erase.disks[0]!['dirtySamples'] as number) > 16);
    const bytes = subject.disk('vda');
    assert.ok(
      [...bytes.subarray(0, 4 * mebibyte), ...bytes.subarray(-4 * mebibyte)].every((byte) => byte === 0),
    );
  });

  it('fails an erase when a disk of the order is not there, naming it, and erases nothing', async () => {
    const before = subject.disk('vda');
    boot.give({ id: 'op-9', phase: 'erase', grade: 'full', disks: [vda, { ...vdb, serial: 'S7' }] });
    const { code, said } = await failure();
    assert.equal(code, 'disk-missing');
    assert.match(said, /S7/);
    assert.ok(subject.disk('vda').equals(before));
  });
}
