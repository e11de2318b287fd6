import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PacketDecoder, type Packet } from '../../../src/wire/cloudstack/packet-decoder.ts';
import { PacketEncoder } from '../../../src/wire/cloudstack/packet-encoder.ts';
import { capture } from '../../golden/cloudstack-vectors.ts';

function record(type: number, body: Buffer): Buffer {
  const header = Buffer.from([type, 3, 3, body.length >> 8, body.length & 0xff]);
  return Buffer.concat([header, body]);
}

/** The end of every handshake: ChangeCipherSpec and Finished. */
const finish = Buffer.concat([record(20, Buffer.from([1])), record(22, Buffer.alloc(40, 9))]);

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (let i = 0; at < bytes.length; i += 1) {
    const size = sizes[i % sizes.length]!;
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

function decodeAll(decoder: PacketDecoder, chunks: readonly Buffer[]): Packet[] {
  return chunks.flatMap((chunk) => decoder.decode(chunk));
}

describe('packet framing', () => {
  for (const [direction, session] of Object.entries(capture.directions)) {
    it(`replays the captured session ${direction}, cut into chunks of any size`, () => {
      const handshake = session.handshakeRecordsRaw.map((raw) =>
        Buffer.concat([Buffer.from(raw.headerHex, 'hex'), Buffer.alloc(raw.recordLength, raw.recordType)]),
      );
      const packets = session.packets.map((packet) =>
        Buffer.concat(
          packet.records.map((part) =>
            record(part.recordType, Buffer.alloc(part.recordLength, packet.message)),
          ),
        ),
      );
      const wire = Buffer.concat([
        ...handshake,
        ...packets.flatMap((records, index) => [
          Buffer.from(session.packets[index]!.packetHeaderHex, 'hex'),
          records,
        ]),
      ]);
      const sizes = fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 20 });
      fc.assert(
        fc.property(sizes, (chunkSizes) => {
          const read = decodeAll(new PacketDecoder(), cut(wire, chunkSizes));
          assert.deepEqual(
            read.map((packet) => packet.kind),
            [
              ...handshake.map(() => 'raw'),
              ...session.packets.map((packet) => (packet.following ? 'following' : 'last')),
            ],
          );
          assert.ok(
            Buffer.concat(read.map((packet) => packet.records)).equals(
              Buffer.concat([...handshake, ...packets]),
            ),
          );

          const encoder = new PacketEncoder();
          const written = [
            ...cut(Buffer.concat(handshake), chunkSizes).map((chunk) => encoder.encode(chunk, false)),
            ...packets.flatMap((records, index) =>
              cut(records, chunkSizes).map((chunk) =>
                encoder.encode(chunk, session.packets[index]!.following),
              ),
            ),
          ];
          assert.ok(Buffer.concat(written).equals(wire));
        }),
        { numRuns: 25 },
      );
    });
  }

  it('survives one byte at a time', () => {
    const wire = Buffer.concat([
      record(22, Buffer.alloc(30)),
      finish,
      Buffer.from('00010015', 'hex'),
      record(23, Buffer.alloc(16)),
      Buffer.from('00000015', 'hex'),
      record(23, Buffer.alloc(16)),
    ]);
    const kinds = decodeAll(new PacketDecoder(), cut(wire, [1])).map((packet) => packet.kind);
    assert.deepEqual(kinds, ['raw', 'raw', 'raw', 'following', 'last']);
  });

  it('takes several records in one packet, never a part of one', () => {
    const two = Buffer.concat([record(23, Buffer.alloc(10)), record(23, Buffer.alloc(20))]);
    const header = Buffer.from([0, 0, 0, two.length]);
    const packets = new PacketDecoder().decode(Buffer.concat([finish, header, two]));
    assert.ok(packets.at(-1)!.records.equals(two));
    const short = Buffer.from([0, 0, 0, two.length - 1]);
    assert.throws(
      () => new PacketDecoder().decode(Buffer.concat([finish, short, two])),
      /ends inside a TLS record/,
    );
  });

  it('refuses sizes that the Java reader would not take', () => {
    for (const header of ['00004651', '0000ffff', '00008000', '00000000']) {
      assert.throws(
        () => new PacketDecoder().decode(Buffer.concat([finish, Buffer.from(header, 'hex')])),
        { code: 'agent.frame' },
        header,
      );
    }
    const largest = record(23, Buffer.alloc(18_000 - 5));
    const packets = new PacketDecoder().decode(
      Buffer.concat([finish, Buffer.from('00004650', 'hex'), largest]),
    );
    assert.equal(packets.at(-1)!.records.length, 18_000);
  });

  it('refuses what is not TLS', () => {
    assert.throws(() => new PacketDecoder().decode(Buffer.from('GET / HTTP/1.1\r\n')), {
      code: 'agent.frame',
    });
    assert.throws(() => new PacketDecoder().decode(Buffer.from('160303ffff', 'hex')), {
      code: 'agent.frame',
    });
  });

  it('drops alerts after the handshake, and passes them during it', () => {
    const alert = record(21, Buffer.from([1, 0]));
    const encoder = new PacketEncoder();
    assert.ok(encoder.encode(alert, false).equals(alert));
    encoder.encode(finish, false);
    assert.equal(encoder.encode(alert, false).length, 0);
  });

  it('knows a packet that was cut off', () => {
    const decoder = new PacketDecoder();
    decoder.decode(Buffer.concat([finish, Buffer.from('0000001517', 'hex')]));
    assert.equal(decoder.pendingBytes, 5);
  });
});
