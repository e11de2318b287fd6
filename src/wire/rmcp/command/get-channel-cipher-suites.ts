import { cipherSuites, type SuiteId } from '../cipher-suite.ts';
import { netFn } from '../ipmi-message.ts';
import { requireLength } from '../malformed-packet.ts';
import type { CommandCodec } from './command-codec.ts';

export interface CipherSuitesRequest {
  /** Which 16 bytes of the list. */
  readonly index: number;
}

export interface CipherSuitesPart {
  readonly channel: number;
  /** At most 16 bytes of the record list; fewer = the last part. */
  readonly records: Buffer;
}

/** IPMI 2.0, section 22.15. What it lists need not be enabled, so only simulators and diagnoses use it. */
export const getChannelCipherSuites: CommandCodec<CipherSuitesRequest, CipherSuitesPart> = {
  name: 'Get Channel Cipher Suites',
  netFn: netFn.app,
  command: 0x54,
  encodeRequest: (request) => Buffer.from([0x0e, 0x00, 0x80 | (request.index & 0x3f)]),
  decodeRequest(data) {
    requireLength(data, 3, 'Get Channel Cipher Suites');
    return { index: data[2]! & 0x3f };
  },
  encodeResponse: (response) => Buffer.concat([Buffer.from([response.channel]), response.records]),
  decodeResponse(data) {
    requireLength(data, 1, 'Get Channel Cipher Suites');
    return { channel: data[0]!, records: data.subarray(1) };
  },
};

/** The record list for these suites: `C0 id auth 40|integrity 80|confidentiality` each (section 22.15.1). */
export function cipherSuiteRecords(ids: readonly SuiteId[]): Buffer {
  return Buffer.from(
    ids.flatMap((id) => {
      const { authentication, integrity, confidentiality } = cipherSuites[id].algorithms;
      return [0xc0, id, authentication, 0x40 | integrity, 0x80 | confidentiality];
    }),
  );
}
