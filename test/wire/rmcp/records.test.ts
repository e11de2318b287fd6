import assert from 'node:assert/strict';
import fc from 'fast-check';
import { MalformedPacket } from '../../../src/wire/rmcp/malformed-packet.ts';
import {
  decodeSensorRecord,
  encodeSensorRecord,
  sensorValue,
  type SensorFactors,
} from '../../../src/wire/rmcp/sdr-record.ts';
import { decodeSelRecord, encodeSelRecord, type SelRecord } from '../../../src/wire/rmcp/sel-record.ts';
import { eventText, sensorTypeText, stateTexts } from '../../../src/wire/rmcp/sensor-texts.ts';
import { decodeSolPacket, encodeSolPacket } from '../../../src/wire/rmcp/sol-packet.ts';

const byte = fc.integer({ min: 0, max: 0xff });
const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((b) => Buffer.from(b));
const linear: SensorFactors = {
  format: 'unsigned',
  linearisation: 0,
  m: 1,
  b: 0,
  bExponent: 0,
  rExponent: 0,
};

describe('SEL, SDR and SOL on the wire', () => {
  it('SEL records come back as they were written', () => {
    const event: fc.Arbitrary<SelRecord> = fc.record({
      kind: fc.constant('event' as const),
      id: fc.integer({ min: 1, max: 0xfffe }),
      timestamp: fc.integer({ min: 0, max: 0xffffffff }),
      generator: fc.integer({ min: 0, max: 0xffff }),
      sensorType: byte,
      sensor: byte,
      eventType: fc.integer({ min: 0, max: 0x7f }),
      asserted: fc.boolean(),
      data: bytes(3),
    });
    fc.assert(
      fc.property(event, (record) =>
        assert.deepEqual(decodeSelRecord(encodeSelRecord(record)), { ...record }),
      ),
    );
  });

  it('SDRs of sensors come back as they were written', () => {
    const factors = fc.record<SensorFactors>({
      format: fc.constantFrom('unsigned', 'ones-complement', 'twos-complement'),
      linearisation: fc.integer({ min: 0, max: 11 }),
      m: fc.integer({ min: -512, max: 511 }),
      b: fc.integer({ min: -512, max: 511 }),
      bExponent: fc.integer({ min: -8, max: 7 }),
      rExponent: fc.integer({ min: -8, max: 7 }),
    });
    const name = fc.stringMatching(/^[A-Za-z0-9]{1,16}$/);
    fc.assert(
      fc.property(factors, name, byte, fc.boolean(), (found, text, number, percent) => {
        const sensor = {
          ownerAddress: 0x20,
          ownerLun: 0,
          number,
          sensorType: 1,
          readingType: 1,
          unit: 1,
          percent,
          factors: { ...found },
          name: text,
        };
        assert.deepEqual(decodeSensorRecord(encodeSensorRecord(1, sensor)), sensor);
        const compact = { ...sensor, readingType: 0x6f, factors: null };
        assert.deepEqual(decodeSensorRecord(encodeSensorRecord(1, compact)), compact);
      }),
    );
  });

  it('SOL packets come back as they were written', () => {
    const four = fc.integer({ min: 0, max: 15 });
    fc.assert(
      fc.property(
        four,
        four,
        byte,
        byte,
        fc.uint8Array(),
        (sequence, acknowledged, accepted, flags, text) => {
          const packet = { sequence, acknowledged, accepted, flags, characters: Buffer.from(text) };
          assert.deepEqual(decodeSolPacket(encodeSolPacket(packet)), packet);
        },
      ),
    );
  });

  it('any other bytes are read somehow, or called malformed', () => {
    for (const decode of [decodeSelRecord, decodeSensorRecord, decodeSolPacket])
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 80 }), (input) => {
          try {
            decode(Buffer.from(input));
          } catch (error) {
            assert.ok(error instanceof MalformedPacket, String(error));
          }
        }),
      );
  });

  it('a name in a record cannot command a terminal', () => {
    const sensor = {
      ownerAddress: 0x20,
      ownerLun: 0,
      number: 1,
      sensorType: 1,
      readingType: 1,
      unit: 1,
      percent: false,
    };
    const record = encodeSensorRecord(1, { ...sensor, factors: linear, name: '\u001b[31mred' });
    assert.equal(decodeSensorRecord(record)?.name, '[31mred');
  });

  it('raw readings become values by every formula', () => {
    const cases: readonly (readonly [Partial<SensorFactors>, number, number | null])[] = [
      [{}, 200, 200],
      [{ format: 'twos-complement' }, 0xf6, -10],
      [{ format: 'ones-complement' }, 0xf5, -10],
      [{ m: 63, rExponent: -3 }, 191, 12.033],
      [{ m: 100, b: 5, bExponent: 1 }, 40, 4_050],
      [{ m: -1, b: 127 }, 27, 100],
      [{ linearisation: 7 }, 4, 0.25],
      [{ linearisation: 8 }, 12, 144],
      [{ linearisation: 10 }, 81, 9],
      [{ linearisation: 7 }, 0, null],
      [{ linearisation: 0x70 }, 1, null],
    ];
    for (const [factors, raw, value] of cases)
      assert.equal(sensorValue({ ...linear, ...factors }, raw), value, JSON.stringify([factors, raw]));
  });

  it('what is not in the tables is told in hex', () => {
    assert.equal(sensorTypeText(0x04), 'Fan');
    assert.equal(sensorTypeText(0xc7), 'type C7h');
    assert.equal(eventText(0x08, 0x6f, 3), 'input lost (AC/DC)');
    assert.equal(eventText(0x08, 0x6f, 15), 'event 0Fh of type 6Fh');
    assert.equal(eventText(0x08, 0x77, 1), 'event 01h of type 77h');
    assert.deepEqual(stateTexts(1, 1, 0b010010), ['below lower critical', 'above upper critical']);
    assert.deepEqual(stateTexts(0x25, 0x6f, 0b1), ['present']);
  });
});
