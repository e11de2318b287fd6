import { netFn } from '../ipmi-message.ts';
import { requireLength } from '../malformed-packet.ts';
import type { CommandCodec } from './command-codec.ts';

export interface SessionPrivilege {
  /** 2 user, 3 operator, 4 administrator; 0 in a request only asks. */
  readonly level: number;
}

/** IPMI 2.0, section 22.18. */
export const setSessionPrivilege: CommandCodec<SessionPrivilege, SessionPrivilege> = {
  name: 'Set Session Privilege Level',
  netFn: netFn.app,
  command: 0x3b,
  encodeRequest: encode,
  decodeRequest: decode,
  encodeResponse: encode,
  decodeResponse: decode,
};

function encode(privilege: SessionPrivilege): Buffer {
  return Buffer.from([privilege.level]);
}

function decode(data: Buffer): SessionPrivilege {
  requireLength(data, 1, 'Set Session Privilege Level');
  return { level: data[0]! & 0x0f };
}
