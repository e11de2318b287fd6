import assert from 'node:assert/strict';
import fc from 'fast-check';
import { gzipSync } from 'node:zlib';
import { decodeFrame, encodeFrame } from '../../../src/wire/cloudstack/frame.ts';
import { describeFrame, frameFromDescription } from '../../../src/wire/cloudstack/frame-description.ts';
import { encodeHeader, flag, responseHeader, type FrameHeader } from '../../../src/wire/cloudstack/header.ts';
import { maxBodyBytes } from '../../../src/wire/cloudstack/limits.ts';

const header: FrameHeader = {
  version: 0,
  reserved: 0,
  flags: flag.REQUEST | flag.STOP_ON_ERROR | flag.IN_SEQUENCE | flag.FROM_SERVER,
  sequence: 5_632_595_758_956_937_218n,
  length: 0,
  mgmtId: 90_520_735_428_613n,
  agentId: 42n,
  via: 42n,
};
const malformed = { code: 'agent.frame' };
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

describe('frames', () => {
  it('come back as they went, whatever is in them', () => {
    fc.assert(
      fc.property(
        fc.record({ sequence: int64, mgmtId: int64, agentId: int64, via: int64, reserved: fc.nat(255) }),
        fc.integer({ min: 0, max: 0x7f }),
        fc.string({ unit: 'grapheme', maxLength: 300 }),
        fc.integer({ min: 1, max: 200 }),
        (fields, flags, text, times) => {
          const body = text.repeat(times);
          const frame = decodeFrame(encodeFrame({ ...header, ...fields, flags }, body), { strictText: true });
          const bytes = Buffer.byteLength(body);
          assert.equal(frame.text, body);
          assert.deepEqual(frame.header, {
            ...header,
            ...fields,
            flags: bytes >= 8192 ? flags | flag.COMPRESSED : flags,
            length: bytes,
          });
        },
      ),
    );
  });

  it('are compressed from 8192 bytes of UTF-8 on, not characters', () => {
    const flagsOf = (body: string): number =>
      decodeFrame(encodeFrame(header, body)).header.flags & flag.COMPRESSED;
    assert.equal(flagsOf('x'.repeat(8191)), 0);
    assert.equal(flagsOf('x'.repeat(8192)), flag.COMPRESSED);
    assert.equal(flagsOf('ö'.repeat(4096)), flag.COMPRESSED);
  });

  it('with version byte 2 have no via field', () => {
    const frame = encodeFrame({ ...header, version: 2 }, '[]');
    assert.equal(frame.length, 34);
    assert.deepEqual(decodeFrame(frame).header.via, header.agentId);
  });

  it('that are too short, or of an unknown version, are refused', () => {
    const frame = encodeFrame(header, '[]');
    for (let length = 0; length < 40; length += 1) {
      assert.throws(() => decodeFrame(frame.subarray(0, length)), malformed);
    }
    for (const version of [1, 3, 255]) {
      const other = Buffer.from(frame);
      other.writeUInt8(version, 0);
      assert.throws(() => decodeFrame(other), malformed);
    }
  });

  it('a decompression bomb is refused without being unpacked', () => {
    const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024));
    const flags = header.flags | flag.COMPRESSED;
    for (const length of [100, maxBodyBytes, maxBodyBytes + 1, 0, -1]) {
      const frame = Buffer.concat([encodeHeader({ ...header, flags, length }), bomb]);
      const before = process.memoryUsage().arrayBuffers;
      assert.throws(() => decodeFrame(frame), malformed, String(length));
      assert.ok(process.memoryUsage().arrayBuffers - before < 64 * 1024 * 1024);
    }
  });

  it('a compressed body must have the announced length, and be gzip', () => {
    const flags = header.flags | flag.COMPRESSED;
    for (const [length, body] of [
      [3, gzipSync('[]')],
      [1, gzipSync('[]')],
      [2, Buffer.from('[]')],
      [2, gzipSync('[]').subarray(0, 12)],
    ] as const) {
      assert.throws(
        () => decodeFrame(Buffer.concat([encodeHeader({ ...header, flags, length }), body])),
        malformed,
      );
    }
  });

  it('bytes that are not UTF-8 are tolerated from a server, and named to a person', () => {
    const frame = Buffer.concat([encodeHeader(header), Buffer.from('["\xe9"]', 'latin1')]);
    assert.equal(decodeFrame(frame).text, '["\ufffd"]');
    assert.throws(() => decodeFrame(frame, { strictText: true }), /not UTF-8/);
  });
});

describe('the header of an answer', () => {
  it('repeats its request, turns the sender round, and drops the rest', () => {
    fc.assert(
      fc.property(
        int64,
        int64,
        int64,
        fc.integer({ min: 0, max: 0xffff }),
        (sequence, mgmtId, agentId, flags) => {
          const request = { ...header, sequence, mgmtId, agentId, via: agentId, flags };
          const answer = responseHeader(request);
          assert.deepEqual({ ...answer, flags: 0 }, { ...request, length: 0, flags: 0 });
          const sender = (flags & flag.FROM_SERVER) === 0 ? flag.FROM_SERVER : 0;
          assert.equal(answer.flags, (flags & (flag.STOP_ON_ERROR | flag.IN_SEQUENCE)) | sender);
        },
      ),
    );
  });
});

describe('frame descriptions', () => {
  it('take 64-bit numbers as text or as numbers, without loss', () => {
    const fields = '"flags":39,"mgmtId":"-1","agentId":42,"via":"42"';
    const asText = frameFromDescription(
      `{"headerFields":{"sequence":"9223372036854775807",${fields}},"json":"[]"}`,
    );
    const asNumber = frameFromDescription(
      `{"headerFields":{"sequence":9223372036854775807,${fields}},"json":"[]"}`,
    );
    assert.equal(asText, asNumber);
    assert.equal(describeFrame(asText).headerFields.sequence, '9223372036854775807');
  });

  it('name what is wrong', () => {
    const good = { flags: 1, sequence: '1', mgmtId: '-1', agentId: '-1', via: '-1' };
    const encode =
      (change: object, json: unknown = '[]') =>
      () =>
        frameFromDescription(JSON.stringify({ headerFields: { ...good, ...change }, json }));
    assert.throws(encode({ sequence: '9223372036854775808' }), /"headerFields.sequence"/);
    assert.throws(encode({ sequence: 'x' }), /"headerFields.sequence"/);
    assert.throws(encode({ flags: 65_536 }), /"headerFields.flags"/);
    assert.throws(encode({ flags: undefined }), /"headerFields.flags"/);
    assert.throws(encode({ version: 1 }), /version byte 1/);
    assert.throws(encode({}, 7), /"json"/);
    assert.throws(encode({}, '{}'), malformed);
    assert.throws(() => frameFromDescription('{'), /not JSON/);
    assert.throws(() => frameFromDescription('[]'), /not a JSON object/);
    assert.throws(() => describeFrame(''), malformed);
    assert.throws(() => describeFrame('0'), /odd number/);
  });
});
