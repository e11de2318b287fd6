import { netFn } from '../ipmi-message.ts';
import { requireLength } from '../malformed-packet.ts';
import { empty, type CommandCodec } from './command-codec.ts';

export interface SessionToClose {
  readonly bmcId: number;
}

/** IPMI 2.0, section 22.19. */
export const closeSession: CommandCodec<SessionToClose, undefined> = {
  name: 'Close Session',
  netFn: netFn.app,
  command: 0x3c,
  encodeRequest(request) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(request.bmcId);
    return bytes;
  },
  decodeRequest(data) {
    requireLength(data, 4, 'Close Session');
    return { bmcId: data.readUInt32LE(0) };
  },
  encodeResponse: empty,
  decodeResponse: () => undefined,
};
