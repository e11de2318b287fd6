import { netFn } from '../ipmi-message.ts';
import { requireLength } from '../malformed-packet.ts';
import { empty, type CommandCodec } from './command-codec.ts';

/** Numbers of the boot option parameters (IPMI 2.0, table 28-14). */
export const bootParameter = {
  setInProgress: 0,
  validBitClearing: 3,
  infoAcknowledge: 4,
  bootFlags: 5,
} as const;

export interface BootOption {
  readonly parameter: number;
  readonly data: Buffer;
  /** In an answer: marked as invalid, or locked. */
  readonly invalid?: boolean;
}

/** IPMI 2.0, section 28.12. */
export const setBootOptions: CommandCodec<BootOption, undefined> = {
  name: 'Set System Boot Options',
  netFn: netFn.chassis,
  command: 0x08,
  encodeRequest: (request) => Buffer.concat([Buffer.from([request.parameter]), request.data]),
  decodeRequest(data) {
    requireLength(data, 1, 'Set System Boot Options');
    return { parameter: data[0]! & 0x7f, data: data.subarray(1) };
  },
  encodeResponse: empty,
  decodeResponse: () => undefined,
};

/** IPMI 2.0, section 28.13. */
export const getBootOptions: CommandCodec<{ readonly parameter: number }, BootOption> = {
  name: 'Get System Boot Options',
  netFn: netFn.chassis,
  command: 0x09,
  encodeRequest: (request) => Buffer.from([request.parameter, 0, 0]),
  decodeRequest(data) {
    requireLength(data, 1, 'Get System Boot Options');
    return { parameter: data[0]! & 0x7f };
  },
  encodeResponse: ({ parameter, data, invalid }) =>
    Buffer.concat([Buffer.from([0x01, parameter | (invalid ? 0x80 : 0)]), data]),
  decodeResponse(data) {
    requireLength(data, 2, 'Get System Boot Options');
    // Bit 7: marked invalid or locked (table 28-13); the value is shown all the same.
    const invalid = (data[1]! & 0x80) !== 0;
    return { parameter: data[1]! & 0x7f, data: data.subarray(2), ...(invalid && { invalid }) };
  },
};

/** Parameter 3: keep the flags valid although no chassis control follows within 60 seconds. */
export const keepFlagsOverTimeout = 0x08;
