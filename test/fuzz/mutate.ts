/** Numbers from a seed: mulberry32. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const oddBytes = [0, 1, 0x0a, 0x0d, 0x1b, 0x20, 0x22, 0x25, 0x2c, 0x5b, 0x5c, 0x7b, 0x7f, 0x80, 0xc0, 0xff];
const oddTexts = [
  '0',
  '-1',
  '4294967295',
  '4294967296',
  '9007199254740993',
  '1e999',
  '%00',
  '%',
  '\u0000',
  '__proto__',
  'constructor',
  '[[[[',
  ']]]]',
  '{"a":',
  '\\u',
  '\ud800',
  'é🚀',
];

/** Another input, made of one or two by a few changes. */
export function mutate(
  input: Buffer,
  other: Buffer,
  words: readonly string[],
  longest: number,
  random: () => number,
): Buffer {
  const below = (end: number): number => Math.floor(random() * end);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
  let bytes = Buffer.from(input);
  const insert = (at: number, piece: Buffer): void => {
    bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
  };
  for (let rounds = 1 + below(4); rounds > 0; rounds -= 1) {
    const at = below(bytes.length + 1);
    switch (below(9)) {
      case 0:
        if (at < bytes.length) bytes[at]! ^= 1 << below(8);
        break;
      case 1:
        if (at < bytes.length) bytes[at] = pick(oddBytes);
        break;
      case 2:
        insert(at, Buffer.from([pick(oddBytes)]));
        break;
      case 3:
        insert(at, Buffer.from(pick(oddTexts)));
        break;
      case 4:
        if (words.length > 0) insert(at, Buffer.from(pick(words)));
        break;
      case 5: // cut something out
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          bytes.subarray(Math.min(bytes.length, at + 1 + below(16))),
        ]);
        break;
      case 6: {
        // repeat a part, now and then many times
        const part = bytes.subarray(at, Math.min(bytes.length, at + 1 + below(16)));
        insert(at, Buffer.concat(new Array<Buffer>(1 + below(random() < 0.1 ? 200 : 3)).fill(part)));
        break;
      }
      case 7: // the end of another one
        bytes = Buffer.concat([bytes.subarray(0, at), other.subarray(below(other.length + 1))]);
        break;
      case 8: // end here
        bytes = bytes.subarray(0, at);
        break;
    }
    bytes = Buffer.from(bytes.subarray(0, longest));
  }
  return bytes;
}
