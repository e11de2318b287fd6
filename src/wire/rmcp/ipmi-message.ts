import { MalformedPacket, requireLength } from './malformed-packet.ts';

/** Network functions (IPMI 2.0, table 5-1): the even numbers of requests. */
export const netFn = { chassis: 0x00, sensor: 0x04, app: 0x06, storage: 0x0a, transport: 0x0c } as const;

/** Slave address of the BMC and software id of a remote console (section 5.5). */
const bmcAddress = 0x20;
const consoleAddress = 0x81;

/** A request message (section 13.8). */
export interface IpmiRequest {
  readonly netFn: number;
  readonly command: number;
  /** Six bits; the answer carries the same number. */
  readonly rqSeq: number;
  readonly data: Buffer;
}

export interface IpmiResponse {
  /** The request's network function (the wire carries it plus 1). */
  readonly netFn: number;
  readonly command: number;
  readonly rqSeq: number;
  readonly completion: number;
  /** What follows the completion code. */
  readonly data: Buffer;
  /** False when a checksum is wrong: some firmware (Supermicro X9) sends such; the receiver decides. */
  readonly checksumOk: boolean;
}

export function encodeIpmiRequest(request: IpmiRequest): Buffer {
  return frame(
    [bmcAddress, request.netFn << 2],
    [consoleAddress, (request.rqSeq & 0x3f) << 2, request.command],
    request.data,
  );
}

/** Requests with a wrong checksum are refused. @throws MalformedPacket */
export function decodeIpmiRequest(message: Buffer): IpmiRequest {
  requireLength(message, 7, 'IPMI request');
  if (!checksumsFit(message)) throw new MalformedPacket('IPMI request: wrong checksum');
  return {
    netFn: message[1]! >> 2,
    command: message[5]!,
    rqSeq: message[4]! >> 2,
    data: message.subarray(6, -1),
  };
}

export function encodeIpmiResponse(response: Omit<IpmiResponse, 'checksumOk'>): Buffer {
  return frame(
    [consoleAddress, (response.netFn + 1) << 2],
    [bmcAddress, (response.rqSeq & 0x3f) << 2, response.command, response.completion],
    response.data,
  );
}

/** @throws MalformedPacket when it is cut or a request */
export function decodeIpmiResponse(message: Buffer): IpmiResponse {
  requireLength(message, 8, 'IPMI response');
  const fn = message[1]! >> 2;
  if (fn % 2 === 0) throw new MalformedPacket('an IPMI request where a response was expected');
  return {
    netFn: fn - 1,
    command: message[5]!,
    rqSeq: message[4]! >> 2,
    completion: message[6]!,
    data: message.subarray(7, -1),
    checksumOk: checksumsFit(message),
  };
}

/** Two's complement of the 8-bit sum of the bytes from `from` to the one before `to`. */
export function checksum(bytes: Uint8Array, from = 0, to = bytes.length): number {
  let sum = 0;
  for (let i = from; i < to; i += 1) sum += bytes[i]!;
  return -sum & 0xff;
}

function frame(head: readonly [number, number], body: readonly number[], data: Buffer): Buffer {
  // From the pool: every byte is written below.
  const bytes = Buffer.allocUnsafe(4 + body.length + data.length);
  bytes[0] = head[0];
  bytes[1] = head[1];
  bytes[2] = checksum(bytes, 0, 2);
  for (let i = 0; i < body.length; i += 1) bytes[3 + i] = body[i]!;
  bytes.set(data, 3 + body.length);
  const last = bytes.length - 1;
  bytes[last] = checksum(bytes, 3, last);
  return bytes;
}

function checksumsFit(message: Buffer): boolean {
  const last = message.length - 1;
  return checksum(message, 0, 2) === message[2] && checksum(message, 3, last) === message[last];
}
