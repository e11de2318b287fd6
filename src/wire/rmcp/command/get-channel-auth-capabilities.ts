import { netFn } from '../ipmi-message.ts';
import { requireLength } from '../malformed-packet.ts';
import type { CommandCodec } from './command-codec.ts';

export interface AuthCapabilitiesRequest {
  /** Asks for the IPMI 2.0 data; BMCs that know only 1.5 may refuse the bit. */
  readonly extended: boolean;
  readonly privilege: number;
}

/** What a BMC says about logging in. Real ones tell lies about users and keys here: good for a diagnosis, not for a refusal. */
export interface AuthCapabilities {
  readonly channel: number;
  readonly ipmi20: boolean;
  readonly ipmi15: boolean;
  /** A BMC key is set. */
  readonly kgSet: boolean;
  readonly namedUsers: boolean;
  readonly anonymousLogin: boolean;
}

const thisChannel = 0x0e;

/** IPMI 2.0, section 22.13. */
export const getChannelAuthCapabilities: CommandCodec<AuthCapabilitiesRequest, AuthCapabilities> = {
  name: 'Get Channel Authentication Capabilities',
  netFn: netFn.app,
  command: 0x38,
  encodeRequest: (request) => Buffer.from([thisChannel | (request.extended ? 0x80 : 0), request.privilege]),
  decodeRequest(data) {
    requireLength(data, 2, 'Get Channel Authentication Capabilities');
    return { extended: (data[0]! & 0x80) !== 0, privilege: data[1]! & 0x0f };
  },
  encodeResponse(response) {
    const status =
      (response.kgSet ? 0x20 : 0) | (response.namedUsers ? 0x04 : 0) | (response.anonymousLogin ? 0x01 : 0);
    const versions = (response.ipmi20 ? 0x02 : 0) | (response.ipmi15 ? 0x01 : 0);
    return Buffer.from([response.channel, response.ipmi20 ? 0x80 : 0, status, versions, 0, 0, 0, 0]);
  },
  decodeResponse(data) {
    requireLength(data, 4, 'Get Channel Authentication Capabilities');
    const extended = (data[1]! & 0x80) !== 0;
    return {
      channel: data[0]!,
      ipmi20: extended && (data[3]! & 0x02) !== 0,
      ipmi15: !extended || (data[3]! & 0x01) !== 0,
      kgSet: extended && (data[2]! & 0x20) !== 0,
      namedUsers: (data[2]! & 0x04) !== 0,
      anonymousLogin: (data[2]! & 0x01) !== 0,
    };
  },
};
