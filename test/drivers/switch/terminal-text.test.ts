import { deepEqual, equal } from 'node:assert/strict';
import fc from 'fast-check';
import { TerminalText } from '../../../src/drivers/switch/force10-cli/terminal-text.ts';

function shown(...chunks: Buffer[]): { lines: readonly string[]; current: string } {
  const text = new TerminalText();
  for (const chunk of chunks) text.feed(chunk);
  return { lines: text.lines, current: text.current };
}

describe('terminal text', () => {
  it('shows what a terminal shows', () => {
    const cases: readonly [string, string[], string][] = [
      ['a\r\nb\r\r\nc\n\rd', ['a', 'b', 'c'], 'd'],
      ['--More--\b\b\b\b\b\b\b\b        \b\b\b\b\b\b\b\bnext\r\n', ['next'], ''],
      ['--More--\r        \rnext\r\n', ['next'], ''],
      ['--More--\r\x1b[Knext\r\n', ['next'], ''],
      ['\x1b[1;31mred\x1b[0m\r\n\x1b7x\x1b8', ['red'], 'x'],
      ['shwo\b\b\x1b[Kow vlan\r\n', ['show vlan'], ''],
      ['\0tor-a#\x07', [], 'tor-a#'],
    ];
    for (const [sent, lines, current] of cases)
      deepEqual(shown(Buffer.from(sent)), { lines, current }, JSON.stringify(sent));
  });

  it('shows the same for any cutting into chunks, inside characters and escape sequences too', () => {
    const piece = fc.oneof(
      fc.constantFrom('\r\n', '\r', '\b', '\x1b[K', '\x1b[0;1m', '\x1b7', '--More--', 'tor-a# ', 'é€😀', ' '),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece), fc.array(fc.nat(400)), (pieces, cuts) => {
        // A lone escape at the very end is an unfinished sequence, which shows only when more comes.
        const bytes = Buffer.from(`${pieces.join('')}${' '.repeat(20)}`);
        const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
        const chunks = [...ends, bytes.length].map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
        deepEqual(shown(...chunks), shown(bytes));
      }),
    );
  });

  it('forgets', () => {
    const text = new TerminalText();
    text.feed(Buffer.from('one\r\ntwo'));
    text.clearCurrent();
    deepEqual(text.lines, ['one']);
    equal(text.current, '');
    text.clear();
    deepEqual(text.lines, []);
  });
});
