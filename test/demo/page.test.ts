import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Page } from '../../lab/demo/page.ts';
import { clauses, shortened } from '../../lab/demo/text-layout.ts';

describe("the demo's page", () => {
  let folder: string;
  let shown: string;

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'demo-page-'));
    shown = '';
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function page(
    terminal: { isTTY: boolean },
    more: { verbose?: boolean; env?: Record<string, string> } = {},
  ): Page {
    const write = (text: string): boolean => {
      shown += text;
      return true;
    };
    return new Page({
      terminal: { ...terminal, columns: 100, write } as unknown as NodeJS.WriteStream,
      transcript: path.join(folder, 'transcript'),
      verbose: more.verbose ?? false,
      env: more.env ?? {},
    });
  }

  it('counts checks', () => {
    const one = page({ isTTY: false });
    one.check('this', true, 'is so');
    one.check('that', false, 'is not');
    assert.deepEqual([one.passed, one.failed], [1, 1]);
    assert.equal(shown, '   ok this: is so\n   FAILED that: is not\n');
  });

  it('uses colours on a terminal only, and not against NO_COLOR', () => {
    const colour = '\u001b[32m';
    page({ isTTY: true }).check('this', true, 'is so');
    assert.ok(shown.includes(colour));
    rmSync(path.join(folder, 'transcript'));
    shown = '';
    page({ isTTY: true }, { env: { NO_COLOR: '1' } }).check('this', true, 'is so');
    assert.equal(shown, '   ok this: is so\n');
  });

  it('draws progress in its place on a terminal, and as a few lines elsewhere', () => {
    const piped = page({ isTTY: false });
    for (let percent = 0; percent <= 100; percent += 1) piped.progress('image', percent, 'writing');
    assert.equal(shown.split('\n').length - 1, 5);
    rmSync(path.join(folder, 'transcript'));
    shown = '';
    const terminal = page({ isTTY: true });
    for (let percent = 0; percent <= 100; percent += 1) terminal.progress('image', percent, 'writing');
    assert.equal(shown.includes('\n'), false);
    terminal.step('image', 'written');
    assert.match(shown.split('\r\u001b[K').at(-1)!, /^ {3}image +written\n$/);
  });

  it('keeps details for the transcript unless everything is asked for', () => {
    const quiet = page({ isTTY: false });
    quiet.detail('conf t');
    quiet.close();
    assert.equal(shown, '');
    assert.match(readFileSync(path.join(folder, 'transcript'), 'utf8'), /\| conf t$/m);
    rmSync(path.join(folder, 'transcript'));
    page({ isTTY: false }, { verbose: true }).detail('conf t');
    assert.match(shown, /\| conf t\n$/);
  });

  it('breaks evidence that is too long at its clauses', () => {
    assert.deepEqual(clauses('one two; three', 20), ['one two; three']);
    assert.deepEqual(clauses('one two three; four five', 12), ['one two', 'three;', 'four five']);
  });

  it('leaves out what nobody reads', () => {
    assert.equal(
      shortened(`vda (SSD-1, 41943040 bytes) on TenGigabitEthernet 1/1: ${'0123456789ab'.padEnd(64, 'c')}`),
      'vda (SSD-1) on Te 1/1: 0123456789ab...',
    );
  });
});
