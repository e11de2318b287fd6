import { netFn } from '../ipmi-message.ts';
import { requireLength } from '../malformed-packet.ts';
import { empty, type CommandCodec } from './command-codec.ts';

/** IPMI 2.0, section 22.14. The response is the 16 bytes as sent. */
export const getSystemGuid: CommandCodec<undefined, Buffer> = {
  name: 'Get System GUID',
  netFn: netFn.app,
  command: 0x37,
  encodeRequest: empty,
  decodeRequest: () => undefined,
  encodeResponse: (guid) => guid,
  decodeResponse(data) {
    requireLength(data, 16, 'Get System GUID');
    return data.subarray(0, 16);
  },
};
