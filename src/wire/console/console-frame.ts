/** Name of the protocol in the `Upgrade` header of a console request. */
export const consoleProtocol = 'csbm-console/1';

/**
 * What goes over an upgraded console connection: a type byte, a length of two bytes (big-endian), the content.
 * Both ways: characters. From the client: a serial break. From the service: why the console ended, as a JSON error.
 */
export type ConsoleFrame =
  | { readonly type: 'characters'; readonly bytes: Buffer }
  | { readonly type: 'break' }
  | { readonly type: 'error'; readonly text: string };

const codes = { characters: 0, break: 1, error: 2 } as const;
const headLength = 3;
const longest = 0xffff;

/** Long contents become several frames. */
export function encodeConsoleFrame(frame: ConsoleFrame): Buffer {
  const content =
    frame.type === 'characters'
      ? frame.bytes
      : Buffer.from(frame.type === 'error' ? frame.text : '').subarray(0, longest);
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < content.length; at += longest) {
    const part = content.subarray(at, at + longest);
    const head = Buffer.alloc(headLength);
    head[0] = codes[frame.type];
    head.writeUInt16BE(part.length, 1);
    frames.push(head, part);
  }
  return Buffer.concat(frames);
}

/** Takes a stream apart, however it was cut. */
export class ConsoleFrameReader {
  #rest = Buffer.alloc(0);

  /** The frames that are complete now. @throws Error for a type that there is not */
  read(bytes: Buffer): readonly ConsoleFrame[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const frames: ConsoleFrame[] = [];
    for (;;) {
      if (this.#rest.length < headLength) return frames;
      const end = headLength + this.#rest.readUInt16BE(1);
      if (this.#rest.length < end) return frames;
      frames.push(frameOf(this.#rest[0]!, Buffer.from(this.#rest.subarray(headLength, end))));
      this.#rest = this.#rest.subarray(end);
    }
  }
}

function frameOf(code: number, content: Buffer): ConsoleFrame {
  switch (code) {
    case codes.characters:
      return { type: 'characters', bytes: content };
    case codes.break:
      return { type: 'break' };
    case codes.error:
      return { type: 'error', text: content.toString() };
    default:
      throw new Error(`console frame of type ${code}`);
  }
}
