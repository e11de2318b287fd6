import type { Algorithms } from './cipher-suite.ts';
import { MalformedPacket, requireLength } from './malformed-packet.ts';
import { rmcpStatus } from './rmcp-status.ts';

/** RMCP+ Open Session Request (IPMI 2.0, section 13.17). */
export interface OpenSessionRequest {
  readonly tag: number;
  /** Highest level asked for, 0 = the highest the suite allows. */
  readonly privilege: number;
  /** The client's session id, random and not 0. */
  readonly clientId: number;
  readonly algorithms: Algorithms;
}

/** RMCP+ Open Session Response (section 13.18). */
export type OpenSessionResponse =
  | {
      readonly tag: number;
      readonly status: typeof rmcpStatus.ok;
      readonly privilege: number;
      readonly clientId: number;
      /** The BMC's session id. */
      readonly bmcId: number;
      readonly algorithms: Algorithms;
    }
  | {
      readonly tag: number;
      readonly status: number;
      /** Missing in the 2-byte refusals of OpenIPMI's simulator and of Supermicro. */
      readonly clientId: number | null;
      readonly bmcId: null;
    };

const requestLength = 32;
const responseLength = 36;

export function encodeOpenSessionRequest(request: OpenSessionRequest): Buffer {
  const bytes = Buffer.alloc(requestLength);
  bytes[0] = request.tag;
  bytes[1] = request.privilege;
  bytes.writeUInt32LE(request.clientId, 4);
  writeAlgorithms(bytes, 8, request.algorithms);
  return bytes;
}

/** @throws MalformedPacket */
export function decodeOpenSessionRequest(payload: Buffer): OpenSessionRequest {
  requireLength(payload, requestLength, 'Open Session Request');
  return {
    tag: payload[0]!,
    privilege: payload[1]! & 0x0f,
    clientId: payload.readUInt32LE(4),
    algorithms: decodeAlgorithms(payload, 8),
  };
}

export function encodeOpenSessionResponse(response: OpenSessionResponse): Buffer {
  if (response.bmcId === null) {
    const bytes = Buffer.alloc(response.clientId === null ? 2 : 8);
    bytes[0] = response.tag;
    bytes[1] = response.status;
    if (response.clientId !== null) bytes.writeUInt32LE(response.clientId, 4);
    return bytes;
  }
  const bytes = Buffer.alloc(responseLength);
  bytes[0] = response.tag;
  bytes[1] = response.status;
  bytes[2] = response.privilege;
  bytes.writeUInt32LE(response.clientId, 4);
  bytes.writeUInt32LE(response.bmcId, 8);
  writeAlgorithms(bytes, 12, response.algorithms);
  return bytes;
}

/** @throws MalformedPacket */
export function decodeOpenSessionResponse(payload: Buffer): OpenSessionResponse {
  requireLength(payload, 2, 'Open Session Response');
  const tag = payload[0]!;
  const status = payload[1]!;
  if (status !== rmcpStatus.ok)
    return { tag, status, clientId: payload.length >= 8 ? payload.readUInt32LE(4) : null, bmcId: null };
  requireLength(payload, responseLength, 'Open Session Response');
  return {
    tag,
    status: rmcpStatus.ok,
    privilege: payload[2]!,
    clientId: payload.readUInt32LE(4),
    bmcId: payload.readUInt32LE(8),
    algorithms: decodeAlgorithms(payload, 12),
  };
}

/** Three blocks of eight bytes: kind (0, 1, 2), 0 0, length 8, algorithm, 0 0 0. */
function writeAlgorithms(bytes: Buffer, at: number, algorithms: Algorithms): void {
  const numbers = [algorithms.authentication, algorithms.integrity, algorithms.confidentiality];
  numbers.forEach((number, kind) => {
    bytes[at + 8 * kind] = kind;
    bytes[at + 8 * kind + 3] = 8;
    bytes[at + 8 * kind + 4] = number;
  });
}

function decodeAlgorithms(payload: Buffer, at: number): Algorithms {
  const [authentication, integrity, confidentiality] = [0, 1, 2].map((kind) => {
    if (payload[at + 8 * kind] !== kind) throw new MalformedPacket('algorithm blocks out of order');
    return payload[at + 8 * kind + 4]! & 0x3f;
  });
  return { authentication: authentication!, integrity: integrity!, confidentiality: confidentiality! };
}
