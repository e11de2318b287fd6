import { parse, isLosslessNumber } from 'lossless-json';
import { parseBody } from './body.ts';
import { decodeFrame, encodeFrame } from './frame.ts';
import { frameError } from './frame-error.ts';
import { asFields, type GsonFields } from './gson-reader.ts';
import { bodyOffset, flagNames, type FrameHeader } from './header.ts';

/** A frame as people and files have it: 64-bit numbers as decimal strings, the body as the text that it is. */
export interface FrameDescription {
  readonly headerFields: {
    readonly version: number;
    readonly reserved: number;
    readonly flags: number;
    readonly flagsHex: string;
    readonly flagNames: readonly string[];
    readonly sequence: string;
    readonly length: number;
    readonly mgmtId: string;
    readonly agentId: string;
    readonly via: string;
  };
  readonly compressed: boolean;
  /** Bytes of the body on the wire. */
  readonly bodyBytes: number;
  readonly classes: readonly string[];
  /** The uncompressed body text. */
  readonly json: string;
}

/**
 * Describes a frame given in hex; white space is ignored.
 * @throws ServiceError `agent.frame` when it is not hex or not a frame.
 */
export function describeFrame(hex: string): FrameDescription {
  const digits = hex.replaceAll(/\s+/g, '');
  const stray = /[^0-9a-fA-F]/.exec(digits);
  if (stray) throw frameError(`"${stray[0]}" is not a hex digit`);
  if (digits.length % 2 !== 0) throw frameError('an odd number of hex digits');
  const bytes = Buffer.from(digits, 'hex');
  const { header, text } = decodeFrame(bytes, { strictText: true });
  const names = flagNames(header.flags);
  return {
    headerFields: {
      version: header.version,
      reserved: header.reserved,
      flags: header.flags,
      flagsHex: `0x${header.flags.toString(16).padStart(4, '0')}`,
      flagNames: names,
      sequence: header.sequence.toString(),
      length: header.length,
      mgmtId: header.mgmtId.toString(),
      agentId: header.agentId.toString(),
      via: header.via.toString(),
    },
    compressed: names.includes('COMPRESSED'),
    bodyBytes: bytes.length - bodyOffset(header.version),
    classes: parseBody(text).map((entry) => entry.className),
    json: text,
  };
}

/**
 * The hex of the frame that a JSON text `{"headerFields": {...}, "json": "..."}` describes. Of the header `flags`, `sequence`, `mgmtId`,
 * `agentId` and `via` count (`version` and `reserved` default to 0); `length` follows from the body, and COMPRESSED is added for bodies
 * of 8192 bytes and more.
 * @throws ServiceError `agent.frame` when the text is not such a description.
 */
export function frameFromDescription(description: string): string {
  const fields = parseDescription(description);
  const header = asFields(fields.headerFields);
  if (!header) throw frameError('"headerFields" is missing or not an object');
  const json = fields.json;
  if (typeof json !== 'string') throw frameError('"json" is missing or not a text');
  parseBody(json);
  const head: FrameHeader = {
    version: small(header, 'version', 0xff, 0),
    reserved: small(header, 'reserved', 0xff, 0),
    flags: small(header, 'flags', 0xffff),
    sequence: long(header, 'sequence'),
    length: 0,
    mgmtId: long(header, 'mgmtId'),
    agentId: long(header, 'agentId'),
    via: long(header, 'via'),
  };
  return encodeFrame(head, json).toString('hex');
}

function parseDescription(text: string): GsonFields {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw frameError(`the description is not JSON: ${(error as Error).message}`, error);
  }
  const fields = asFields(value);
  if (!fields) throw frameError('the description is not a JSON object');
  return fields;
}

function small(fields: GsonFields, name: string, max: number, absent?: number): number {
  const value = fields[name];
  if (value === undefined && absent !== undefined) return absent;
  const number = isLosslessNumber(value) ? Number(value.toString()) : Number.NaN;
  if (!Number.isInteger(number) || number < 0 || number > max) {
    throw frameError(`"headerFields.${name}" must be a whole number from 0 to ${max}`);
  }
  return number;
}

function long(fields: GsonFields, name: string): bigint {
  const value = fields[name];
  const text = typeof value === 'string' ? value : isLosslessNumber(value) ? value.toString() : '';
  const number = /^-?\d{1,19}$/.test(text) ? BigInt(text) : null;
  if (number === null || BigInt.asIntN(64, number) !== number) {
    throw frameError(`"headerFields.${name}" must be a signed 64-bit number, best as a decimal string`);
  }
  return number;
}
