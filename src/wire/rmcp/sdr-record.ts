import { requireLength } from './malformed-packet.ts';

/** How a raw reading becomes a value: `L((M x + B 10^bExponent) 10^rExponent)` (IPMI 2.0, section 36.3). */
export interface SensorFactors {
  readonly format: 'unsigned' | 'ones-complement' | 'twos-complement' | 'none';
  readonly linearisation: number;
  readonly m: number;
  readonly b: number;
  readonly bExponent: number;
  readonly rExponent: number;
}

/** A sensor as the Sensor Data Records describe it (IPMI 2.0, sections 43.1 and 43.2). */
export interface SensorRecord {
  readonly ownerAddress: number;
  readonly ownerLun: number;
  readonly number: number;
  readonly sensorType: number;
  /** Event/reading type code: 1 = a value with thresholds, others have states. */
  readonly readingType: number;
  /** Codes of the base unit; `percent` overrides it. */
  readonly unit: number;
  readonly percent: boolean;
  /** null = no value, only states. */
  readonly factors: SensorFactors | null;
  readonly name: string;
}

export const sdrHeaderLength = 5;

const fullSensor = { type: 0x01, nameAt: 47 } as const;
const compactSensor = { type: 0x02, nameAt: 31 } as const;
const threshold = 0x01;

/** What the five header bytes of a record say about what follows them. @throws MalformedPacket */
export function decodeSdrHeader(bytes: Buffer): { readonly type: number; readonly length: number } {
  requireLength(bytes, sdrHeaderLength, 'SDR header');
  return { type: bytes[3]!, length: bytes[4]! };
}

/** The sensor that a whole record describes; null for records of something else. @throws MalformedPacket */
export function decodeSensorRecord(bytes: Buffer): SensorRecord | null {
  const { type } = decodeSdrHeader(bytes);
  if (type !== fullSensor.type && type !== compactSensor.type) return null;
  const { nameAt } = type === fullSensor.type ? fullSensor : compactSensor;
  requireLength(bytes, nameAt + 1, 'SDR of a sensor');
  const readingType = bytes[13]! & 0x7f;
  const hasValue = type === fullSensor.type && readingType === threshold;
  return {
    ownerAddress: bytes[5]!,
    ownerLun: bytes[6]! & 0x03,
    number: bytes[7]!,
    sensorType: bytes[12]!,
    readingType,
    unit: bytes[21]!,
    percent: (bytes[20]! & 0x01) !== 0,
    factors: hasValue ? factorsOf(bytes) : null,
    name: nameOf(bytes, nameAt),
  };
}

/** A full (with factors) or compact record with this id, for simulated BMCs. */
export function encodeSensorRecord(id: number, sensor: SensorRecord): Buffer {
  const { type, nameAt } = sensor.factors === null ? compactSensor : fullSensor;
  const name = Buffer.from(sensor.name, 'latin1').subarray(0, 16);
  const bytes = Buffer.alloc(nameAt + 1 + name.length);
  bytes.writeUInt16LE(id, 0);
  bytes[2] = 0x51;
  bytes[3] = type;
  bytes[4] = bytes.length - sdrHeaderLength;
  bytes[5] = sensor.ownerAddress;
  bytes[6] = sensor.ownerLun;
  bytes[7] = sensor.number;
  bytes[8] = 0x07; // entity: system board
  bytes[9] = 0x01;
  bytes[10] = 0x7f;
  bytes[11] = 0x40;
  bytes[12] = sensor.sensorType;
  bytes[13] = sensor.readingType;
  bytes[20] = sensor.percent ? 0x01 : 0x00;
  bytes[21] = sensor.unit;
  if (sensor.factors) {
    const { format, linearisation, m, b, bExponent, rExponent } = sensor.factors;
    bytes[20] = bytes[20] | (formats.indexOf(format) << 6);
    bytes[23] = linearisation;
    bytes[24] = m & 0xff;
    bytes[25] = (m >> 2) & 0xc0;
    bytes[26] = b & 0xff;
    bytes[27] = (b >> 2) & 0xc0;
    bytes[29] = ((rExponent & 0x0f) << 4) | (bExponent & 0x0f);
  }
  bytes[nameAt] = 0xc0 | name.length;
  name.copy(bytes, nameAt + 1);
  return bytes;
}

const formats = ['unsigned', 'ones-complement', 'twos-complement', 'none'] as const;

function factorsOf(bytes: Buffer): SensorFactors | null {
  const format = formats[bytes[20]! >> 6]!;
  if (format === 'none') return null;
  return {
    format,
    linearisation: bytes[23]! & 0x7f,
    m: signed(bytes[24]! | ((bytes[25]! & 0xc0) << 2), 10),
    b: signed(bytes[26]! | ((bytes[27]! & 0xc0) << 2), 10),
    bExponent: signed(bytes[29]! & 0x0f, 4),
    rExponent: signed(bytes[29]! >> 4, 4),
  };
}

function signed(value: number, bits: number): number {
  return value >= 2 ** (bits - 1) ? value - 2 ** bits : value;
}

/** Type/length code (section 43.15): 8-bit text is what everybody uses; packed forms are shown as hex. */
function nameOf(bytes: Buffer, at: number): string {
  const length = bytes[at]! & 0x1f;
  const text = bytes.subarray(at + 1, at + 1 + length);
  if (bytes[at]! >> 6 !== 3) return text.toString('hex');
  // A terminal must not obey what a BMC calls its sensors.
  return text
    .toString('latin1')
    .replace(/[^\x20-\x7e\xa0-\xff]/g, '')
    .trim();
}

const linear = 0;
const formulas: readonly ((x: number) => number)[] = [
  (x) => x,
  Math.log,
  Math.log10,
  Math.log2,
  Math.exp,
  (x) => 10 ** x,
  (x) => 2 ** x,
  (x) => 1 / x,
  (x) => x ** 2,
  (x) => x ** 3,
  Math.sqrt,
  Math.cbrt,
];

/** The value that a raw reading means; null for sensors whose formula is their vendor's own. */
export function sensorValue(factors: SensorFactors, raw: number): number | null {
  const formula = formulas[factors.linearisation];
  if (!formula) return null;
  const x = rawNumber(factors.format, raw);
  const value = (factors.m * x + factors.b * 10 ** factors.bExponent) * 10 ** factors.rExponent;
  const result = factors.linearisation === linear ? value : formula(value);
  // Powers of ten are not exact in binary: 1.2000000000000002 V helps nobody.
  return Number.isFinite(result) ? Number(result.toPrecision(10)) : null;
}

function rawNumber(format: SensorFactors['format'], raw: number): number {
  if (raw < 0x80 || format === 'unsigned') return raw;
  return format === 'twos-complement' ? raw - 256 : raw - 255;
}
