import assert from 'node:assert/strict';
import { milliseconds } from '../../plugin-api/index.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { parseBody } from '../../src/wire/cloudstack/body.ts';
import { longField, parseFields } from '../../src/wire/cloudstack/gson-reader.ts';

describe('numbers from CloudStack that are too large', () => {
  // A host id above 64 bits was learned and kept; no frame could carry it, so the host never connected again, not even after a restart.
  it('are no 64-bit number', () => {
    const read = (text: string): bigint | null => longField(parseFields(`{"n":${text}}`), 'n');
    assert.equal(read('9223372036854775807'), 2n ** 63n - 1n);
    assert.equal(read('-9223372036854775808'), -(2n ** 63n));
    for (const text of [
      '9223372036854775808',
      '-9223372036854775809',
      '9999999999999999999',
      '"99999999999999999999"',
    ])
      assert.equal(read(text), null, text);
  });

  // Node ends a timer of more than 2^31 ms at once: a ping interval of a year made pings without pause.
  it('do not make a long wait a short one', async () => {
    const clock = new SystemClock();
    const enough = new AbortController();
    const year = clock.sleep(milliseconds(365 * 86_400_000), enough.signal).then(
      () => 'over',
      () => 'still waiting',
    );
    let woken = false;
    const cancel = clock.timer(milliseconds(2 ** 40), () => {
      woken = true;
    });
    await clock.sleep(milliseconds(30));
    enough.abort(new Error('enough'));
    cancel();
    assert.equal(await year, 'still waiting');
    assert.equal(woken, false);
  });

  // Sixteen megabytes of "1,1,1,…" cost half a gigabyte and seconds in which no other link was served.
  it('of values, of commands or of characters in a class name are refused before they are read', () => {
    for (const text of [
      `[{"a.B":{"x":[${'1,'.repeat(200_000)}1]}}]`,
      `[{"a.B":{${'"k":1,'.repeat(200_000)}"k":1}}]`,
      `[${Array(2_000).fill('{"a.B":{}}').join()}]`,
      `[{"${'x'.repeat(600)}":{}}]`,
    ])
      assert.throws(() => parseBody(text), { code: 'agent.frame' });
    assert.equal(parseBody(`[{"a.B":{"x":[${'1,'.repeat(50_000)}1]}}]`).length, 1);
    assert.equal(parseBody(`[${Array(1_000).fill('{"a.B":{}}').join()}]`).length, 1_000);
  });
});
