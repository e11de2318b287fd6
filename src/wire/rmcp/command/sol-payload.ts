import { netFn } from '../ipmi-message.ts';
import { MalformedPacket, requireLength } from '../malformed-packet.ts';
import { empty, type CommandCodec } from './command-codec.ts';

/** Completion codes of Activate Payload (IPMI 2.0, table 24-2). */
export const activateRefusal = {
  activeElsewhere: 0x80,
  disabled: 0x81,
  limit: 0x82,
  notEncrypted: 0x83,
  encrypted: 0x84,
} as const;

export interface SolActivation {
  /** Longest payload, header included, that the BMC takes. */
  readonly toBmc: number;
  /** Longest that it sends. */
  readonly fromBmc: number;
  /** UDP port of the payload. */
  readonly port: number;
}

const solPayload = 0x01;
const firstInstance = 0x01;
/** Encrypted and authenticated. */
const protection = 0xc0;
const noVlan = 0xffff;

/** Activate Payload for Serial over LAN, instance 1 (IPMI 2.0, section 24.1). */
export const activateSol: CommandCodec<undefined, SolActivation> = {
  name: 'Activate Payload',
  netFn: netFn.app,
  command: 0x48,
  encodeRequest: () => Buffer.from([solPayload, firstInstance, protection, 0, 0, 0]),
  decodeRequest: requireSol('Activate Payload'),
  encodeResponse(response) {
    const bytes = Buffer.alloc(12);
    bytes.writeUInt16LE(response.toBmc, 4);
    bytes.writeUInt16LE(response.fromBmc, 6);
    bytes.writeUInt16LE(response.port, 8);
    bytes.writeUInt16LE(noVlan, 10);
    return bytes;
  },
  decodeResponse(data) {
    requireLength(data, 10, 'Activate Payload');
    return {
      toBmc: data.readUInt16LE(4),
      fromBmc: data.readUInt16LE(6),
      port: data.readUInt16LE(8),
    };
  },
};

/** The same the other way round (section 24.2). */
export const deactivateSol: CommandCodec<undefined, undefined> = {
  name: 'Deactivate Payload',
  netFn: netFn.app,
  command: 0x49,
  encodeRequest: () => Buffer.from([solPayload, firstInstance, 0, 0, 0, 0]),
  decodeRequest: requireSol('Deactivate Payload'),
  encodeResponse: empty,
  decodeResponse: () => undefined,
};

/** Get SOL Configuration Parameters (section 26.3): only simulated BMCs need it, for clients that ask. */
export const getSolParameter: CommandCodec<{ readonly parameter: number }, Buffer> = {
  name: 'Get SOL Configuration Parameters',
  netFn: netFn.transport,
  command: 0x22,
  encodeRequest: ({ parameter }) => Buffer.from([0x0e, parameter, 0, 0]),
  decodeRequest(data) {
    requireLength(data, 2, 'Get SOL Configuration Parameters');
    return { parameter: data[1]! };
  },
  encodeResponse: (value) => Buffer.concat([Buffer.from([0x11]), value]),
  decodeResponse: (data) => data.subarray(1),
};

function requireSol(name: string) {
  return (data: Buffer): undefined => {
    requireLength(data, 2, name);
    if (data[0] !== solPayload || (data[1]! & 0x0f) !== firstInstance)
      throw new MalformedPacket(`${name}: payload ${data[0]}, instance ${data[1]}`);
  };
}
