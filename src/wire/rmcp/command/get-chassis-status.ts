import { netFn } from '../ipmi-message.ts';
import { requireLength } from '../malformed-packet.ts';
import { empty, type CommandCodec } from './command-codec.ts';

export interface ChassisStatus {
  readonly powerOn: boolean;
}

/** IPMI 2.0, section 28.2. Only the power bit is trustworthy on real BMCs, so only that is read. */
export const getChassisStatus: CommandCodec<undefined, ChassisStatus> = {
  name: 'Get Chassis Status',
  netFn: netFn.chassis,
  command: 0x01,
  encodeRequest: empty,
  decodeRequest: () => undefined,
  encodeResponse: (response) => Buffer.from([response.powerOn ? 0x01 : 0x00, 0, 0]),
  decodeResponse(data) {
    requireLength(data, 1, 'Get Chassis Status');
    return { powerOn: (data[0]! & 0x01) !== 0 };
  },
};
