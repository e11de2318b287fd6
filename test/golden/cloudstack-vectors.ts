import { readdirSync, readFileSync } from 'node:fs';

/** A frame made by the real Java classes. */
export interface Vector {
  readonly name: string;
  readonly direction: string;
  readonly kind: 'request' | 'response';
  readonly headerFields: {
    readonly flags: number;
    readonly sequence: string;
    readonly length: number;
    readonly mgmtId: string;
    readonly agentId: string;
    readonly via: string;
  };
  readonly compressed: boolean;
  readonly bodyBytes: number;
  readonly classes: readonly string[];
  readonly json: string;
  readonly frameHex: string;
}

const folder = new URL('./vectors/cloudstack-agent/', import.meta.url);

/** All frames; files that begin with an underscore are something else. */
export const vectors: readonly Vector[] = readdirSync(folder)
  .filter((file) => file.endsWith('.json') && !file.startsWith('_'))
  .map((file) => JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Vector);

export function vector(name: string): Vector {
  const found = vectors.find((candidate) => candidate.name === name);
  if (!found) throw new Error(`no vector ${name}`);
  return found;
}

interface CapturedDirection {
  readonly handshakeRecordsRaw: readonly {
    readonly recordType: number;
    readonly recordLength: number;
    readonly headerHex: string;
  }[];
  readonly packets: readonly {
    readonly message: number;
    readonly packetHeaderHex: string;
    readonly packetSize: number;
    readonly following: boolean;
    readonly records: readonly { readonly recordType: number; readonly recordLength: number }[];
  }[];
}

/** Structure of one real session between the Java client and server. */
export const capture = JSON.parse(readFileSync(new URL('_tls-framing-capture.json', folder), 'utf8')) as {
  readonly directions: Readonly<Record<string, CapturedDirection>>;
};
