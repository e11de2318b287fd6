import { netFn } from '../ipmi-message.ts';
import { MalformedPacket, requireLength } from '../malformed-packet.ts';
import { empty, type CommandCodec } from './command-codec.ts';

/** What the System Event Log says of itself. */
export interface SelInfo {
  readonly entries: number;
  readonly freeBytes: number;
}

const selVersion = 0x51;

/** IPMI 2.0, section 31.2. */
export const getSelInfo: CommandCodec<undefined, SelInfo> = {
  name: 'Get SEL Info',
  netFn: netFn.storage,
  command: 0x40,
  encodeRequest: empty,
  decodeRequest: () => undefined,
  encodeResponse(response) {
    const bytes = Buffer.alloc(14);
    bytes[0] = selVersion;
    bytes.writeUInt16LE(response.entries, 1);
    bytes.writeUInt16LE(response.freeBytes, 3);
    bytes[13] = 0x02; // reserving is supported
    return bytes;
  },
  decodeResponse(data) {
    requireLength(data, 5, 'Get SEL Info');
    return { entries: data.readUInt16LE(1), freeBytes: data.readUInt16LE(3) };
  },
};

/** A reservation: void as soon as somebody else changes the log or the repository. */
export interface Reservation {
  readonly reservation: number;
}

const reserve = (name: string, command: number): CommandCodec<undefined, Reservation> => ({
  name,
  netFn: netFn.storage,
  command,
  encodeRequest: empty,
  decodeRequest: () => undefined,
  encodeResponse(response) {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16LE(response.reservation);
    return bytes;
  },
  decodeResponse(data) {
    requireLength(data, 2, name);
    return { reservation: data.readUInt16LE(0) };
  },
});

/** IPMI 2.0, section 31.4. */
export const reserveSel = reserve('Reserve SEL', 0x42);
/** IPMI 2.0, section 33.11. */
export const reserveSdr = reserve('Reserve SDR Repository', 0x22);

/** A record, or a part of one. */
export interface RecordRequest extends Reservation {
  /** 0 = the first. */
  readonly record: number;
  readonly offset: number;
  /** FFh = all that is left. */
  readonly count: number;
}

export interface RecordPart {
  /** {@link lastRecord} = there is none. */
  readonly next: number;
  readonly data: Buffer;
}

export const lastRecord = 0xffff;
export const wholeRecord = 0xff;

const getRecord = (name: string, command: number): CommandCodec<RecordRequest, RecordPart> => ({
  name,
  netFn: netFn.storage,
  command,
  encodeRequest(request) {
    const bytes = Buffer.alloc(6);
    bytes.writeUInt16LE(request.reservation, 0);
    bytes.writeUInt16LE(request.record, 2);
    bytes[4] = request.offset;
    bytes[5] = request.count;
    return bytes;
  },
  decodeRequest(data) {
    requireLength(data, 6, name);
    return {
      reservation: data.readUInt16LE(0),
      record: data.readUInt16LE(2),
      offset: data[4]!,
      count: data[5]!,
    };
  },
  encodeResponse(response) {
    const next = Buffer.alloc(2);
    next.writeUInt16LE(response.next);
    return Buffer.concat([next, response.data]);
  },
  decodeResponse(data) {
    requireLength(data, 2, name);
    return { next: data.readUInt16LE(0), data: data.subarray(2) };
  },
});

/** IPMI 2.0, section 31.5. */
export const getSelEntry = getRecord('Get SEL Entry', 0x43);
/** IPMI 2.0, section 33.12. */
export const getSdr = getRecord('Get SDR', 0x23);

/** IPMI 2.0, section 33.9. */
export const getSdrInfo: CommandCodec<undefined, { readonly records: number }> = {
  name: 'Get SDR Repository Info',
  netFn: netFn.storage,
  command: 0x20,
  encodeRequest: empty,
  decodeRequest: () => undefined,
  encodeResponse(response) {
    const bytes = Buffer.alloc(14);
    bytes[0] = selVersion;
    bytes.writeUInt16LE(response.records, 1);
    bytes[13] = 0x02; // reserving is supported
    return bytes;
  },
  decodeResponse(data) {
    requireLength(data, 3, 'Get SDR Repository Info');
    return { records: data.readUInt16LE(1) };
  },
};

export interface ClearSel extends Reservation {
  /** False only asks how far the erasing is. */
  readonly begin: boolean;
}

/** IPMI 2.0, section 31.9. */
export const clearSel: CommandCodec<ClearSel, { readonly done: boolean }> = {
  name: 'Clear SEL',
  netFn: netFn.storage,
  command: 0x47,
  encodeRequest(request) {
    const bytes = Buffer.from([0, 0, 0x43, 0x4c, 0x52, request.begin ? 0xaa : 0x00]);
    bytes.writeUInt16LE(request.reservation, 0);
    return bytes;
  },
  decodeRequest(data) {
    requireLength(data, 6, 'Clear SEL');
    if (data.toString('latin1', 2, 5) !== 'CLR') throw new MalformedPacket('Clear SEL without CLR');
    return { reservation: data.readUInt16LE(0), begin: data[5] === 0xaa };
  },
  encodeResponse: (response) => Buffer.from([response.done ? 1 : 0]),
  decodeResponse(data) {
    requireLength(data, 1, 'Clear SEL');
    return { done: (data[0]! & 0x0f) === 1 };
  },
};
