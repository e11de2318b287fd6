import { netFn } from '../ipmi-message.ts';
import { requireLength } from '../malformed-packet.ts';
import { empty, type CommandCodec } from './command-codec.ts';

export interface DeviceId {
  readonly deviceId: number;
  readonly deviceRevision: number;
  readonly firmwareMajor: number;
  /** 0 to 99 (BCD on the wire). */
  readonly firmwareMinor: number;
  /** The BMC is starting or being updated. */
  readonly updating: boolean;
  /** IANA enterprise number, 20 bits. */
  readonly manufacturer: number;
  readonly product: number;
}

/** IPMI 2.0 in BCD with the nibbles swapped: 02h. */
const ipmiVersion = 0x02;

/** IPMI 2.0, section 20.1. */
export const getDeviceId: CommandCodec<undefined, DeviceId> = {
  name: 'Get Device ID',
  netFn: netFn.app,
  command: 0x01,
  encodeRequest: empty,
  decodeRequest: () => undefined,
  encodeResponse(response) {
    const bytes = Buffer.alloc(15);
    bytes[0] = response.deviceId;
    bytes[1] = response.deviceRevision;
    bytes[2] = response.firmwareMajor | (response.updating ? 0x80 : 0);
    bytes[3] = Math.floor(response.firmwareMinor / 10) * 16 + (response.firmwareMinor % 10);
    bytes[4] = ipmiVersion;
    bytes[5] = 0x87; // additional device support: chassis, event log, sensor records, sensors
    bytes.writeUIntLE(response.manufacturer, 6, 3);
    bytes.writeUInt16LE(response.product, 9);
    return bytes;
  },
  decodeResponse(data) {
    // The four auxiliary bytes are optional.
    requireLength(data, 11, 'Get Device ID');
    return {
      deviceId: data[0]!,
      deviceRevision: data[1]! & 0x0f,
      firmwareMajor: data[2]! & 0x7f,
      firmwareMinor: (data[3]! >> 4) * 10 + (data[3]! & 0x0f),
      updating: (data[2]! & 0x80) !== 0,
      manufacturer: data.readUIntLE(6, 3) & 0xfffff,
      product: data.readUInt16LE(9),
    };
  },
};
