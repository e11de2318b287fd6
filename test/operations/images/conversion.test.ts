import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
  closeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { milliseconds, minutes } from '../../../plugin-api/index.ts';
import type { Image } from '../../../src/core/image/image.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { ServiceError, type ServiceCode } from '../../../src/kernel/errors/service-error.ts';
import {
  ImageLibrary,
  type Conversion,
  type NewImage,
} from '../../../src/operations/images/image-library.ts';
import { requirePeer } from '../../support/peers.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';
import { until } from '../../support/until.ts';
import { quiet } from '../boot/boot-samples.ts';

const mebibyte = 1024 * 1024;
/** 10 MiB with data at both ends and a hole between. */
const disk = Buffer.alloc(10 * mebibyte);
randomBytes(3 * mebibyte + 7).copy(disk);
randomBytes(64 * 1024).copy(disk, 9 * mebibyte);

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const named = (name: string, more: Partial<NewImage> = {}): NewImage => ({
  name,
  canBond: true,
  firstBoot: 'nocloud',
  aliases: [],
  ...more,
});

async function* inPieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
}

describe('image library: virtual disks', () => {
  let temp: TempStorage;
  let folder: string;
  let images: string;
  const libraries: ImageLibrary[] = [];

  beforeEach(async () => {
    temp = await tempStorage();
    folder = mkdtempSync(join(tmpdir(), 'csbm-convert-'));
    images = join(folder, 'images');
  });
  afterEach(async () => {
    for (const library of libraries.splice(0)) await library.stop();
    await temp.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function started(
    conversion: Partial<Conversion> = {},
    orphanAge = milliseconds(0),
  ): Promise<ImageLibrary> {
    const library = new ImageLibrary({
      storage: temp.storage,
      folder: images,
      clock: new SystemClock(),
      log: quiet,
      orphanAge,
      conversion,
    });
    libraries.push(library);
    await library.start();
    return library;
  }

  /** The disk in another format; `options` as `qemu-img convert` takes them. */
  function virtualDisk(format: string, ...options: readonly string[]): Buffer {
    const [from, to] = [join(folder, 'disk.raw'), join(folder, 'disk.virtual')];
    writeFileSync(from, disk);
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', format, ...options, from, to]);
    return readFileSync(to);
  }
  const files = (): readonly string[] =>
    readdirSync(images, { recursive: true })
      .map(String)
      .filter((file) => file !== 'tmp');
  const refusedAs = (code: ServiceCode, text: RegExp) => (error: unknown) =>
    error instanceof ServiceError && error.code === code && text.test(error.message);
  async function refuses(
    library: ImageLibrary,
    bytes: Buffer,
    code: ServiceCode,
    text: RegExp,
  ): Promise<void> {
    await assert.rejects(library.add(named('refused'), inPieces(bytes)), refusedAs(code, text));
    assert.deepEqual(files(), []);
    assert.deepEqual(await library.list(), []);
  }
  async function unpacked(library: ImageLibrary, { name, encoding }: Image): Promise<Buffer> {
    const { path } = (await library.file(name))!;
    return encoding === 'gzip'
      ? gunzipSync(readFileSync(path))
      : execFileSync('zstd', ['-dcq', path], { maxBuffer: 64 * mebibyte });
  }

  /** A stand-in for qemu-img: `script` runs for everything but --version, with $1 the command and $last the last argument. */
  function standIn(script: string): string {
    const path = join(folder, 'qemu-img-stand-in');
    writeFileSync(
      path,
      `#!/bin/sh\n[ "$1" != --version ] || exit 0\nfor last; do :; done\ncd '${folder}'\n${script}\n`,
    );
    chmodSync(path, 0o755);
    return path;
  }
  /** What a stand-in has to say of a whole image. */
  const info = `case $1 in
    info) echo '{"format": "qcow2", "virtual-size": ${disk.length}}'; exit ;;
    check) exit 63 ;;
  esac`;
  const plainQcow2 = (): Buffer => {
    const header = Buffer.alloc(65536);
    Buffer.from('514649fb00000003', 'hex').copy(header);
    header.writeBigUInt64BE(BigInt(disk.length), 24);
    return header;
  };

  const whole: readonly [string, readonly string[]][] = [
    ['qcow2', []],
    ['qcow2', ['-c']],
    ['qcow2', ['-o', 'compat=0.10']],
    ['vmdk', []],
    ['vmdk', ['-o', 'subformat=streamOptimized']],
    ['vpc', ['-o', 'force_size=on']],
  ];
  for (const [format, options] of whole) {
    it(`converts ${[format, ...options].join(' ')} to the bytes of the disk`, async function () {
      for (const peer of ['qemu-img', 'zstd']) requirePeer(this, peer);
      const library = await started();
      const upload = virtualDisk(format, ...options);
      const image = await library.add(named('disk', { sha256: sha256(upload) }), inPieces(upload));
      assert.deepEqual([image.encoding, image.rawBytes], ['zstd', disk.length]);
      const stored = readFileSync((await library.file('disk'))!.path);
      assert.deepEqual([image.storedBytes, image.sha256], [stored.length, sha256(stored)]);
      assert.equal(disk.equals(await unpacked(library, image)), true);
      assert.deepEqual(files(), [image.file]);
      assert.deepEqual(library.adding(), []);
    });
  }

  it('compresses by gzip where there is no zstd', async function () {
    requirePeer(this, 'qemu-img');
    const library = await started({ zstd: join(folder, 'no-zstd') });
    const image = await library.add(named('disk'), inPieces(virtualDisk('qcow2')));
    assert.deepEqual([image.encoding, image.rawBytes], ['gzip', disk.length]);
    assert.equal(disk.equals(await unpacked(library, image)), true);
    assert.deepEqual(files(), [image.file]);
  });

  it('converts one after the other', async function () {
    for (const peer of ['qemu-img', 'zstd']) requirePeer(this, peer);
    const library = await started();
    const upload = virtualDisk('qcow2');
    const added = await Promise.all(
      ['a', 'b', 'c'].map((name) => library.add(named(name), inPieces(upload))),
    );
    for (const image of added) assert.equal(disk.equals(await unpacked(library, image)), true);
  });

  describe('never follows an image to another file', () => {
    it('refuses what qemu-img made with a backing file or a data file', async function () {
      requirePeer(this, 'qemu-img');
      const library = await started();
      const secret = join(folder, 'secret.raw');
      writeFileSync(secret, disk);
      const made = join(folder, 'leads-away');
      execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', secret, '-F', 'raw', made]);
      await refuses(library, readFileSync(made), 'image.format', /has a backing file/);
      const data = join(folder, 'data.raw');
      execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', `data_file=${data}`, made, '10M']);
      await refuses(library, readFileSync(made), 'image.format', /external data file/);
      writeFileSync(join(folder, 'parent.vmdk'), virtualDisk('vmdk'));
      execFileSync('qemu-img', [
        'create',
        '-q',
        '-f',
        'vmdk',
        '-b',
        join(folder, 'parent.vmdk'),
        '-F',
        'vmdk',
        made,
      ]);
      await refuses(library, readFileSync(made), 'image.format', /has a parent/);
    });

    it('and does not even show it to qemu-img', async () => {
      const library = await started({ qemuImg: standIn('touch shown') });
      const header = plainQcow2();
      header.writeBigUInt64BE(104n, 8);
      await refuses(library, header, 'image.format', /has a backing file/);
      assert.equal(existsSync(join(folder, 'shown')), false);
    });

    it('believes what qemu-img finds beyond the header', async () => {
      const findings: readonly [string, RegExp][] = [
        ['"backing-filename": "/etc/passwd"', /backing file/],
        ['"format-specific": {"data": {"data-file": "/dev/sda"}}', /other files/],
        ['"format-specific": {"data": {"extents": [{"filename": "/dev/sda"}]}}', /other files/],
        ['"format-specific": {"data": {"corrupt": true}}', /corrupt/],
        ['"encrypted": true', /encrypted/],
      ];
      for (const [found, text] of findings) {
        const answer = `{"format": "qcow2", "virtual-size": ${disk.length}, ${found}}`;
        const library = await started({
          qemuImg: standIn(`[ "$1" = info ] || touch followed; echo '${answer}'`),
        });
        await refuses(library, plainQcow2(), 'image.format', text);
      }
      assert.equal(existsSync(join(folder, 'followed')), false);
    });
  });

  describe('refuses', () => {
    it('a qcow2 that is cut, of which qemu-img itself would read zeroes', async function () {
      requirePeer(this, 'qemu-img');
      const upload = virtualDisk('qcow2');
      await refuses(await started(), upload.subarray(0, 2_000_000), 'image.format', /is damaged/);
    });

    it('a qcow2 whose tables are damaged', async function () {
      requirePeer(this, 'qemu-img');
      const path = join(folder, 'damaged.qcow2');
      const upload = virtualDisk('qcow2');
      const tables = Number(upload.readBigUInt64BE(40));
      const second = Number(upload.readBigUInt64BE(tables) & 0x00fffffffffffe00n);
      writeFileSync(path, upload);
      const file = openSync(path, 'r+');
      writeSync(file, Buffer.alloc(64, 0x55), 0, 64, second);
      closeSync(file);
      await refuses(await started(), readFileSync(path), 'image.format', /is damaged|cannot be/);
    });

    it('a VMDK and a VHD that are cut', async function () {
      requirePeer(this, 'qemu-img');
      const library = await started();
      for (const upload of [virtualDisk('vmdk'), virtualDisk('vpc')])
        await refuses(library, upload.subarray(0, 2_000_000), 'image.format', /is damaged|cannot be read/);
    });

    it('something that only begins like one', async function () {
      requirePeer(this, 'qemu-img');
      const library = await started();
      for (const magic of ['514649fb00000003', '4b444d56', '636f6e6563746978']) {
        const bytes = Buffer.concat([Buffer.from(magic, 'hex'), Buffer.alloc(100_000, 1)]);
        await refuses(library, bytes, 'image.format', /image/);
        await refuses(library, Buffer.from(magic, 'hex'), 'image.format', /ends after|is empty/);
      }
    });

    it('one that is packed as if it were a disk', async function () {
      const upload = gzipSync(plainQcow2());
      await refuses(await started(), upload, 'image.format', /unpacks to a qcow2 file/);
      requirePeer(this, 'zstd');
      const packed = execFileSync('zstd', ['-qc'], { input: plainQcow2() });
      await refuses(await started(), packed, 'image.format', /unpacks to a qcow2 file/);
    });

    it('one that is larger than allowed, by its header and by what qemu-img says', async () => {
      const larger = { qemuImg: standIn(info), maxRawBytes: disk.length - 1 };
      await refuses(await started(larger), plainQcow2(), 'image.format', /conversion\.maxRawGiB/);
      const answer = `{"format": "qcow2", "virtual-size": ${disk.length + 512}}`;
      const library = await started({ qemuImg: standIn(`echo '${answer}'`), maxRawBytes: disk.length });
      await refuses(library, plainQcow2(), 'image.format', /conversion\.maxRawGiB/);
    });

    it('where there is no qemu-img: at once, naming the package', async () => {
      const library = await started({ qemuImg: join(folder, 'no-qemu-img') });
      let asked = 0;
      const endless = async function* (): AsyncGenerator<Buffer> {
        yield plainQcow2();
        for (; asked < 1000; asked += 1) yield disk;
      };
      await assert.rejects(
        library.add(named('q'), endless()),
        refusedAs('image.conversion', /apt-get install qemu-utils/),
      );
      assert.equal(asked, 0);
      assert.deepEqual(files(), []);
    });

    it('where there is not space enough, before anything is converted', async function () {
      requirePeer(this, 'qemu-img');
      // Of the disk's 10 MiB some 3 are data.
      const library = await started({ freeBytes: async () => 259 * mebibyte });
      await refuses(
        library,
        virtualDisk('qcow2', '-c'),
        'image.storage',
        /3276800 bytes besides 268435456 .*271581184 are free.*imageDir/,
      );
    });

    it('one whose disk got full on the way', async () => {
      const script = `${info}\necho 'qemu-img: error while writing: No space left on device' >&2; exit 1`;
      const library = await started({ qemuImg: standIn(script) });
      await refuses(library, plainQcow2(), 'image.storage', /No space left on device/);
    });

    it('one of which a program is killed', async () => {
      const library = await started({ qemuImg: standIn(`${info}\nkill -9 $$`) });
      await refuses(library, plainQcow2(), 'image.conversion', /ended by SIGKILL/);
    });

    it('bytes that are not those of the checksum, whatever they are', async () => {
      const library = await started({ qemuImg: standIn(info) });
      for (const bytes of [plainQcow2(), disk])
        await assert.rejects(
          library.add(named('x', { sha256: sha256(Buffer.alloc(1)) }), inPieces(bytes)),
          refusedAs('image.checksum', new RegExp(sha256(bytes))),
        );
      assert.deepEqual(files(), []);
      await library.add(named('x', { sha256: sha256(disk) }), inPieces(disk));
    });
  });

  describe('a conversion', () => {
    /** Tells that it has begun, and waits for the file `go`. */
    const waits = `${info}
      printf '    (41.97/100%%)\\r    (42.50/100%%)\\r'
      echo $$ > pid
      while [ ! -e go ]; do sleep 0.05; done
      truncate -s ${disk.length} "$last"`;
    const begun = (): Promise<unknown> => until(async () => existsSync(join(folder, 'pid')));
    const ended = (): Promise<unknown> =>
      until(async () => !existsSync(`/proc/${readFileSync(join(folder, 'pid'), 'utf8').trim()}`));

    it('tells how far it is', async () => {
      const library = await started({ qemuImg: standIn(waits), zstd: join(folder, 'no-zstd') });
      const added = library.add(named('slow'), inPieces(plainQcow2()));
      await until(async () => library.adding()[0]?.percent === 42);
      assert.deepEqual(library.adding(), [{ name: 'slow', doing: 'converting', percent: 42 }]);
      const second = library.add(named('second'), inPieces(plainQcow2()));
      await until(async () => library.adding()[1]?.doing === 'waiting');
      writeFileSync(join(folder, 'go'), '');
      assert.equal((await added).rawBytes, disk.length);
      await second;
      assert.deepEqual(library.adding(), []);
    });

    it('ends with its time, with its caller, and with the service; nothing is left', async () => {
      const qemuImg = standIn(waits);
      const late = await started({ qemuImg, timeout: milliseconds(700) });
      await refuses(late, plainQcow2(), 'image.conversion', /not converted within.*conversion\.timeout/);
      if (existsSync(join(folder, 'pid'))) await ended();

      rmSync(join(folder, 'pid'), { force: true });
      const library = await started({ qemuImg });
      const caller = new AbortController();
      const left = assert.rejects(
        library.add(named('left'), inPieces(plainQcow2()), caller.signal),
        /the caller is gone/,
      );
      await begun();
      caller.abort(new Error('the caller is gone'));
      await left;
      await ended();
      assert.deepEqual(files(), []);

      rmSync(join(folder, 'pid'));
      const stopped = assert.rejects(
        library.add(named('stopped'), inPieces(plainQcow2())),
        refusedAs('image.conversion', /service was stopped/),
      );
      await begun();
      await library.stop();
      await stopped;
      await ended();
      assert.deepEqual(files(), []);
      await assert.rejects(
        library.add(named('later'), inPieces(disk)),
        refusedAs('image.conversion', /stopped/),
      );
    });

    it('that a crash cut leaves nothing for long', async () => {
      await started();
      for (const name of ['image-0123', 'image-0123.raw', 'image-0123.packed'])
        writeFileSync(join(images, 'tmp', name), 'half');
      truncateSync(join(images, 'tmp', 'image-0123.raw'), 1024 ** 3);
      // Too young at first: it might be the upload of another instance.
      await started({}, minutes(10));
      assert.equal(files().length, 3);
      await started({}, milliseconds(200));
      await until(async () => files().length === 0);
    });
  });
});
