import { netFn } from '../ipmi-message.ts';
import { requireLength } from '../malformed-packet.ts';
import type { CommandCodec } from './command-codec.ts';

export interface SensorReading {
  /** The raw value; without meaning for sensors that only have states. */
  readonly raw: number;
  /** False = the value is not valid at the moment, or the sensor is switched off. */
  readonly available: boolean;
  /** Bits of the states that are asserted; for sensors with thresholds, of the thresholds that are crossed. */
  readonly states: number;
}

/** IPMI 2.0, section 35.14. */
export const getSensorReading: CommandCodec<{ readonly sensor: number }, SensorReading> = {
  name: 'Get Sensor Reading',
  netFn: netFn.sensor,
  command: 0x2d,
  encodeRequest: (request) => Buffer.from([request.sensor]),
  decodeRequest(data) {
    requireLength(data, 1, 'Get Sensor Reading');
    return { sensor: data[0]! };
  },
  encodeResponse: (response) =>
    Buffer.from([
      response.raw,
      0xc0 & (response.available ? 0xff : 0x80),
      response.states & 0xff,
      0x80 | (response.states >> 8),
    ]),
  decodeResponse(data) {
    requireLength(data, 2, 'Get Sensor Reading');
    return {
      raw: data[0]!,
      available: (data[1]! & 0x40) !== 0 && (data[1]! & 0x20) === 0,
      states: (data[2] ?? 0) | (((data[3] ?? 0) & 0x7f) << 8),
    };
  },
};
