import type { BmcSensorTrait } from '../../../lab/bmc/bmc-options.ts';
import type { SelRecord } from '../../../src/wire/rmcp/sel-record.ts';

/** When the sample log begins, in seconds since 1970. */
export const at = Date.UTC(2026, 4, 1) / 1_000;

/** A log as a server may have it: a fan, a power supply, a clock that was not set, an OEM entry. */
export const sampleLog: readonly SelRecord[] = [
  {
    kind: 'event',
    id: 1,
    timestamp: at,
    generator: 0x20,
    sensorType: 0x04,
    sensor: 0x30,
    eventType: 1,
    asserted: true,
    data: Buffer.from([0x52, 0x10, 0x20]),
  },
  {
    kind: 'event',
    id: 2,
    timestamp: at + 60,
    generator: 0x20,
    sensorType: 0x08,
    sensor: 0x50,
    eventType: 0x6f,
    asserted: false,
    data: Buffer.from([0x03, 0xff, 0xff]),
  },
  {
    kind: 'event',
    id: 7,
    timestamp: 12,
    generator: 0x20,
    sensorType: 0xc1,
    sensor: 0x51,
    eventType: 0x70,
    asserted: true,
    data: Buffer.from([0x04, 0xff, 0xff]),
  },
  { kind: 'oem', id: 9, type: 0xdf, timestamp: at + 90, data: Buffer.from('a1b2c3d4e5f6a7b8c9', 'hex') },
];

const linear = { format: 'unsigned', linearisation: 0, m: 1, b: 0, bExponent: 0, rExponent: 0 } as const;
const common = { ownerAddress: 0x20, ownerLun: 0, readingType: 1, percent: false } as const;
const works = { available: true, states: 0 } as const;

export const sampleSensors: readonly BmcSensorTrait[] = [
  {
    record: {
      ...common,
      number: 1,
      sensorType: 1,
      unit: 1,
      name: 'CPU1 Temp',
      factors: { ...linear, format: 'twos-complement' },
    },
    reading: { ...works, raw: 0xf6 },
  },
  {
    record: {
      ...common,
      number: 2,
      sensorType: 2,
      unit: 4,
      name: '12V',
      factors: { ...linear, m: 63, rExponent: -3 },
    },
    reading: { ...works, raw: 191, states: 0x08 },
  },
  {
    record: {
      ...common,
      number: 3,
      sensorType: 4,
      unit: 18,
      name: 'FAN1',
      factors: { ...linear, m: 100, b: 5, bExponent: 1 },
    },
    reading: { raw: 40, available: false, states: 0 },
  },
  {
    record: {
      ...common,
      number: 4,
      sensorType: 8,
      readingType: 0x6f,
      unit: 0,
      name: 'PS1 Status',
      factors: null,
    },
    reading: { ...works, raw: 0, states: 0x09 },
  },
  {
    record: {
      ...common,
      number: 5,
      sensorType: 1,
      unit: 1,
      name: 'Elsewhere',
      ownerAddress: 0x2c,
      factors: linear,
    },
    reading: { ...works, raw: 1 },
  },
];
