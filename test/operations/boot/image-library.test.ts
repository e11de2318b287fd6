import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { milliseconds, parseVlanId } from '../../../plugin-api/index.ts';
import type { Deployment } from '../../../src/core/claim/deployment.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { ServiceError, type ServiceCode } from '../../../src/kernel/errors/service-error.ts';
import { ImageLibrary, type NewImage } from '../../../src/operations/images/image-library.ts';
import { requirePeer } from '../../support/peers.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';
import { machineId, machineOf, quiet } from './boot-samples.ts';

const code = (wanted: ServiceCode) => (error: unknown) =>
  error instanceof ServiceError && error.code === wanted;
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const raw = Buffer.from('a disk image, more or less\n'.repeat(10_000));
const named = (name: string, more: Partial<NewImage> = {}): NewImage => ({
  name,
  canBond: true,
  firstBoot: 'nocloud',
  aliases: [],
  ...more,
});

/** The bytes in pieces of the given size, as an upload brings them. */
async function* inPieces(bytes: Buffer, size = 1000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('image library', () => {
  let temp: TempStorage;
  let folder: string;
  let library: ImageLibrary;

  beforeEach(async () => {
    temp = await tempStorage();
    folder = join(mkdtempSync(join(tmpdir(), 'csbm-images-')), 'images');
    library = await started();
  });

  afterEach(async () => {
    await temp.close();
    rmSync(join(folder, '..'), { recursive: true, force: true });
  });

  async function started(): Promise<ImageLibrary> {
    const { storage } = temp;
    const made = new ImageLibrary({
      storage,
      folder,
      clock: new SystemClock(),
      log: quiet,
      orphanAge: milliseconds(0),
    });
    await made.start();
    return made;
  }

  const files = (): readonly string[] =>
    readdirSync(folder, { recursive: true })
      .map(String)
      .filter((f) => f !== 'tmp');

  it('stores a raw image as it came', async () => {
    const image = await library.add(named('tiny', { aliases: [' http://x/tiny.img '] }), inPieces(raw));
    assert.deepEqual(
      [image.encoding, image.storedBytes, image.rawBytes, image.sha256, image.aliases],
      ['raw', raw.length, raw.length, sha256(raw), ['http://x/tiny.img']],
    );
    const file = await library.file('tiny');
    assert.deepEqual(readFileSync(file!.path), raw);
    assert.deepEqual([file?.sha256, file?.storedBytes], [sha256(raw), raw.length]);
    assert.deepEqual(
      (await library.list()).map((i) => i.name),
      ['tiny'],
    );
    assert.equal((await library.find('tiny'))?.rawBytes, raw.length);
    assert.equal(await library.file('none'), null);
  });

  it('measures what a gzip image unpacks to', async () => {
    const packed = Buffer.concat([gzipSync(raw), gzipSync(raw)]);
    const image = await library.add(named('g'), inPieces(packed, 7));
    assert.deepEqual(
      [image.encoding, image.rawBytes, image.sha256],
      ['gzip', 2 * raw.length, sha256(packed)],
    );
  });

  it('measures what a zstd image unpacks to', async function () {
    requirePeer(this, 'zstd');
    const frame = execFileSync('zstd', ['-q', '-c'], { input: raw });
    const image = await library.add(named('z'), inPieces(Buffer.concat([frame, frame])));
    assert.deepEqual([image.encoding, image.rawBytes], ['zstd', 2 * raw.length]);
  });

  const damaged: readonly [string, () => Buffer][] = [
    ['gzip', () => gzipSync(raw).subarray(0, -20)],
    [
      'gzip',
      () => {
        const b = gzipSync(raw);
        b[b.length - 8]! ^= 1;
        return b;
      },
    ],
  ];
  damaged.forEach(([encoding, make], index) => {
    it(`refuses a damaged ${encoding} image (${index + 1}), leaving nothing`, async () => {
      await assert.rejects(library.add(named('d'), inPieces(make())), code('image.format'));
      assert.deepEqual(files(), []);
      assert.deepEqual(await library.list(), []);
    });
  });

  it('refuses a damaged zstd image', async function () {
    requirePeer(this, 'zstd');
    const packed = execFileSync('zstd', ['-q', '-c'], { input: raw });
    await assert.rejects(library.add(named('d'), inPieces(packed.subarray(0, -5))), code('image.format'));
    assert.deepEqual(files(), []);
  });

  it('refuses formats that cannot be streamed, telling what to do, before the rest is sent', async () => {
    const starts: readonly [string, RegExp][] = [
      ['514649fb00000001', /qemu-img convert/],
      ['7668647866696c65', /qemu-img convert/],
      ['23204469736b2044', /qemu-img convert/],
      ['fd377a585a000004', /xz -dc/],
      ['425a683931415926', /bzip2 -dc/],
    ];
    for (const [magic, remedy] of starts) {
      let asked = 0;
      const upload = async function* (): AsyncGenerator<Buffer> {
        for (const byte of Buffer.from(magic, 'hex')) yield Buffer.from([byte]);
        for (;;) {
          asked += 1;
          yield Buffer.alloc(1024);
        }
      };
      await assert.rejects(
        library.add(named('q'), upload()),
        (error) => code('image.format')(error) && remedy.test((error as Error).message),
      );
      assert.equal(asked, 0);
    }
    await assert.rejects(library.add(named('e'), inPieces(Buffer.alloc(0))), code('image.format'));
    assert.deepEqual(files(), []);
  });

  it('takes a file shorter than any magic for raw', async () => {
    assert.equal((await library.add(named('s'), inPieces(Buffer.from('abc')))).encoding, 'raw');
  });

  it('refuses a size that is not the announced one', async () => {
    await assert.rejects(library.add(named('r', { rawBytes: 5 }), inPieces(raw)), code('request.invalid'));
    assert.equal(
      (await library.add(named('r', { rawBytes: raw.length }), inPieces(raw))).rawBytes,
      raw.length,
    );
  });

  it('refuses names that another image has, as name or alias, with or without scheme', async () => {
    await library.add(named('tiny', { aliases: ['http://x/y'] }), inPieces(raw));
    const clashes = [
      named('tiny'),
      named('b', { aliases: ['tiny'] }),
      named('b', { aliases: ['csbm://tiny'] }),
      named('b', { aliases: ['http://x/y'] }),
    ];
    for (const wanted of clashes)
      await assert.rejects(library.add(wanted, inPieces(raw)), code('image.exists'));
    assert.equal(files().length, 1);
  });

  it('lets one of two uploads of the same name win', async () => {
    const both = await Promise.allSettled([1, 2].map(() => library.add(named('twin'), inPieces(raw))));
    assert.deepEqual(both.map((r) => r.status).sort(), ['fulfilled', 'rejected']);
    assert.deepEqual(readFileSync((await library.file('twin'))!.path), raw);
    assert.equal(files().length, 1);
  });

  it('refuses names that are no names', async () => {
    for (const name of ['', '..', '../x', 'a/b', '.hidden', 'a b', 'a\n', 'x'.repeat(64)])
      await assert.rejects(library.add(named(name), inPieces(raw)), code('request.invalid'));
    await assert.rejects(library.add(named('a', { aliases: [' '] }), inPieces(raw)), code('request.invalid'));
  });

  it('leaves nothing of an upload that breaks or is aborted', async () => {
    const broken = async function* (): AsyncGenerator<Buffer> {
      yield raw;
      throw new Error('connection lost');
    };
    await assert.rejects(library.add(named('b'), broken()), /connection lost/);
    const abort = new AbortController();
    const endless = async function* (): AsyncGenerator<Buffer> {
      for (;;) {
        yield raw;
        abort.abort(new Error('enough'));
      }
    };
    await assert.rejects(library.add(named('b'), endless(), abort.signal), /enough/);
    assert.deepEqual(files(), []);
  });

  it('removes what a killed upload left, and nothing else', async () => {
    await library.add(named('tiny'), inPieces(raw));
    const [kept] = files();
    mkdirSync(join(folder, 'tmp'), { recursive: true });
    writeFileSync(join(folder, 'tmp', 'image-0123'), 'half');
    writeFileSync(join(folder, 'image-0123456789abcdef.raw'), 'renamed, but without a row');
    writeFileSync(join(folder, 'README'), 'somebody else’s');
    await started();
    assert.deepEqual([...files()].sort(), ['README', kept].sort());
  });

  describe('removal', () => {
    const installing = (state: Deployment['state']): Deployment => ({
      id: 'op-1',
      machineId,
      externalId: 'cloud/i-2-77-VM',
      image: 'tiny',
      nicPlan: [],
      firstBoot: { instanceId: 'i', hostname: 'h', sshKeys: [], userData: null },
      network: { native: parseVlanId(100), tagged: [], ports: [], parked: [] },
      state,
      evidence: null,
      createdAt: 1,
      endedAt: null,
      version: 1,
    });

    it('takes the file with it', async () => {
      await library.add(named('tiny'), inPieces(raw));
      const { path } = (await library.file('tiny'))!;
      await library.remove('tiny');
      assert.equal(existsSync(path), false);
      assert.equal(await library.find('tiny'), null);
      await assert.rejects(library.remove('tiny'), code('request.not-found'));
    });

    it('is refused while the image is being installed, and allowed afterwards', async () => {
      await library.add(named('tiny'), inPieces(raw));
      await temp.storage.run(async (tx) => {
        await tx.machines.insert(machineOf());
        await tx.deployments.insert(installing('installing'));
      });
      await assert.rejects(
        library.remove('tiny'),
        (error) => code('image.in-use')(error) && /i-2-77-VM/.test((error as Error).message),
      );
      assert.ok(await library.file('tiny'));
      await temp.storage.run(async (tx) => {
        const current = await tx.deployments.current(machineId);
        await tx.deployments.update({ ...current!, state: 'installed' });
      });
      await library.remove('tiny');
    });
  });

  it('keeps any bytes in any pieces', async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 3000 }),
        fc.integer({ min: 1, max: 900 }),
        async (content, size) => {
          // A first byte that begins no known format.
          const bytes = Buffer.concat([Buffer.from([0]), content]);
          const image = await library.add(named(`f${(run += 1)}`), inPieces(bytes, size));
          assert.equal(image.sha256, sha256(bytes));
          assert.deepEqual(readFileSync((await library.file(image.name))!.path), bytes);
        },
      ),
      { numRuns: 25 },
    );
  });
});
