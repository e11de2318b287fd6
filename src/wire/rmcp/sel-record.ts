import { requireLength } from './malformed-packet.ts';

/** One record of the System Event Log (IPMI 2.0, section 32). */
export type SelRecord =
  | {
      readonly kind: 'event';
      readonly id: number;
      /** Seconds since 1970 as the BMC's clock had it, or since its start where the clock was not set. */
      readonly timestamp: number;
      readonly generator: number;
      readonly sensorType: number;
      readonly sensor: number;
      /** Event/reading type code: 1 = threshold, 6Fh = peculiar to the sensor type, others generic. */
      readonly eventType: number;
      readonly asserted: boolean;
      /** Three bytes. */
      readonly data: Buffer;
    }
  | {
      readonly kind: 'oem';
      readonly id: number;
      readonly type: number;
      /** null = this record has none. */
      readonly timestamp: number | null;
      readonly data: Buffer;
    };

const selRecordLength = 16;

const systemEvent = 0x02;
const oemWithTime = { from: 0xc0, to: 0xdf } as const;

/** @throws MalformedPacket when it is cut */
export function decodeSelRecord(bytes: Buffer): SelRecord {
  requireLength(bytes, selRecordLength, 'SEL record');
  const id = bytes.readUInt16LE(0);
  const type = bytes[2]!;
  if (type === systemEvent)
    return {
      kind: 'event',
      id,
      timestamp: bytes.readUInt32LE(3),
      generator: bytes.readUInt16LE(7),
      sensorType: bytes[10]!,
      sensor: bytes[11]!,
      eventType: bytes[12]! & 0x7f,
      asserted: (bytes[12]! & 0x80) === 0,
      data: bytes.subarray(13, 16),
    };
  const timed = type >= oemWithTime.from && type <= oemWithTime.to;
  return {
    kind: 'oem',
    id,
    type,
    timestamp: timed ? bytes.readUInt32LE(3) : null,
    data: bytes.subarray(timed ? 7 : 3, 16),
  };
}

export function encodeSelRecord(record: SelRecord): Buffer {
  const bytes = Buffer.alloc(selRecordLength);
  bytes.writeUInt16LE(record.id, 0);
  if (record.kind === 'oem') {
    bytes[2] = record.type;
    if (record.timestamp !== null) bytes.writeUInt32LE(record.timestamp, 3);
    record.data.copy(bytes, record.timestamp === null ? 3 : 7);
    return bytes;
  }
  bytes[2] = systemEvent;
  bytes.writeUInt32LE(record.timestamp, 3);
  bytes.writeUInt16LE(record.generator, 7);
  bytes[9] = 0x04; // event message revision of IPMI 2.0
  bytes[10] = record.sensorType;
  bytes[11] = record.sensor;
  bytes[12] = record.eventType | (record.asserted ? 0 : 0x80);
  record.data.copy(bytes, 13, 0, 3);
  return bytes;
}
