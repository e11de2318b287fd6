import { MalformedPacket, requireLength } from './malformed-packet.ts';

const asfEnterprise = 4542;
const pingType = 0x80;
const pongType = 0x40;

/** ASF presence ping (ASF 2.0, section 3.2.4.2), the body behind an RMCP header of class ASF. */
export function encodeAsfPing(tag: number): Buffer {
  return asfMessage(pingType, tag, Buffer.alloc(0));
}

/** @returns the tag. @throws MalformedPacket when this is no presence ping */
export function decodeAsfPing(body: Buffer): number {
  return decodeAsf(body, pingType).tag;
}

export interface AsfPong {
  readonly tag: number;
  /** The BMC says that it speaks IPMI. */
  readonly ipmi: boolean;
}

export function encodeAsfPong(pong: AsfPong): Buffer {
  const data = Buffer.alloc(16);
  data.writeUInt32BE(asfEnterprise, 0);
  data[8] = pong.ipmi ? 0x81 : 0x01;
  return asfMessage(pongType, pong.tag, data);
}

/** @throws MalformedPacket when this is no pong */
export function decodeAsfPong(body: Buffer): AsfPong {
  const { tag, data } = decodeAsf(body, pongType);
  requireLength(data, 9, 'ASF pong');
  return { tag, ipmi: (data[8]! & 0x80) !== 0 };
}

function asfMessage(type: number, tag: number, data: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(asfEnterprise, 0);
  head[4] = type;
  head[5] = tag;
  head[7] = data.length;
  return Buffer.concat([head, data]);
}

function decodeAsf(body: Buffer, type: number): { readonly tag: number; readonly data: Buffer } {
  requireLength(body, 8, 'ASF message');
  if (body.readUInt32BE(0) !== asfEnterprise || body[4] !== type)
    throw new MalformedPacket('not the ASF message expected');
  requireLength(body, 8 + body[7]!, 'ASF message');
  return { tag: body[5]!, data: body.subarray(8, 8 + body[7]!) };
}
