import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ServiceError } from '../../../src/kernel/errors/service-error.ts';
import { readDiskHeader } from '../../../src/operations/images/disk-header.ts';
import type { DiskFormat } from '../../../src/operations/images/image-format.ts';

const gib = 1024 ** 3;

function qcow2(change: (header: Buffer) => void = () => undefined): Buffer {
  const header = Buffer.alloc(104);
  header.write('QFI\u00fb', 'latin1');
  header.writeUInt32BE(3, 4);
  header.writeBigUInt64BE(BigInt(gib), 24);
  change(header);
  return header;
}

function vmdk(change: (header: Buffer) => void = () => undefined, descriptor = ''): Buffer {
  const header = Buffer.alloc(512 + 20 * 512);
  header.write('KDMV');
  header.writeBigUInt64LE(BigInt(gib / 512), 12);
  header.write(descriptor, 512);
  change(header);
  return header;
}

function vhd(type: number): Buffer {
  const footer = Buffer.alloc(512);
  footer.write('conectix');
  footer.writeBigUInt64BE(BigInt(gib), 48);
  footer.writeUInt32BE(type, 60);
  return footer;
}

describe('header of a virtual disk', () => {
  const refuses = (format: DiskFormat, start: Buffer, what: RegExp): void =>
    assert.throws(
      () => readDiskHeader(format, start),
      (error) => error instanceof ServiceError && error.code === 'image.format' && what.test(error.message),
    );

  it('tells the size of the disk', () => {
    assert.equal(readDiskHeader('qcow2', qcow2()), gib);
    const old = qcow2((header) => header.writeUInt32BE(2, 4)).subarray(0, 72);
    assert.equal(readDiskHeader('qcow2', old), gib);
    assert.equal(readDiskHeader('vmdk', vmdk()), gib);
    assert.equal(readDiskHeader('vpc', vhd(3)), gib);
  });

  it('that leads to another file is refused', () => {
    refuses(
      'qcow2',
      qcow2((header) => header.writeBigUInt64BE(104n, 8)),
      /has a backing file/,
    );
    refuses(
      'qcow2',
      qcow2((header) => header.writeBigUInt64BE(4n, 72)),
      /external data file/,
    );
    refuses(
      'vmdk',
      vmdk((header) => header.writeBigUInt64LE(0n, 12)),
      /data in other files/,
    );
    refuses('vmdk', vmdk(undefined, 'parentFileNameHint="/etc/passwd"'), /has a parent/);
    refuses('vpc', vhd(4), /has a parent/);
  });

  it('of a disk that cannot be read is refused', () => {
    refuses(
      'qcow2',
      qcow2((header) => header.writeUInt32BE(1, 32)),
      /encrypted/,
    );
    refuses(
      'qcow2',
      qcow2((header) => header.writeBigUInt64BE(0n, 24)),
      /is empty/,
    );
    refuses(
      'qcow2',
      qcow2((header) => header.writeBigUInt64BE(1n << 63n, 24)),
      /claims to have/,
    );
    refuses('vpc', vhd(9), /unknown type 9/);
  });

  it('that is cut is refused', () => {
    refuses('qcow2', qcow2().subarray(0, 71), /within its header/);
    refuses('qcow2', qcow2().subarray(0, 79), /within its header/);
    refuses('vmdk', vmdk().subarray(0, 511), /within its header/);
    refuses('vpc', vhd(3).subarray(0, 511), /within its header/);
  });

  it('whatever it holds, is a size or a refusal', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<DiskFormat>('qcow2', 'vmdk', 'vpc'),
        fc.uint8Array({ maxLength: 1200 }),
        (format, bytes) => {
          try {
            assert.ok(readDiskHeader(format, Buffer.from(bytes)) > 0);
          } catch (error) {
            assert.ok(error instanceof ServiceError && error.code === 'image.format', String(error));
          }
        },
      ),
    );
  });
});
