import assert from 'node:assert/strict';
import { listenerLimits } from '../../src/config/listener-limits.ts';
import { limitsSection } from '../../src/config/section/limits.ts';
import { retentionSection } from '../../src/config/section/retention.ts';
import { scaled, timingsSection } from '../../src/config/section/timings.ts';
import { parseDuration } from '../../src/kernel/clock/duration.ts';
import { createWebServer } from '../../src/kernel/net/web-server.ts';

// `limits.headersTimeout: 4.35m` is 260999.99999999997 ms in floating point: the service did not start, with an error of Node's.
// `limits.bodyTimeout: 30d` overflowed the timer, and every body "did not arrive in time" after a millisecond; a retention of a
// million million days was beyond what MariaDB compares. A plan under `timings.scale: 7` failed for a time that was no whole number.
describe('times in the configuration', () => {
  it('are whole milliseconds', () => {
    for (const [written, time] of [
      ['4.35m', 261_000],
      ['1.005s', 1_005],
      ['2.2d', 190_080_000],
      ['0.6ms', 1],
    ] as const)
      assert.equal(parseDuration(written), time, written);
    const limits = listenerLimits(limitsSection.parse({ headersTimeout: '4.35m', bodyTimeout: '8.2h' }));
    createWebServer(() => undefined, limits.server).close();
    for (const time of Object.values(scaled({ ...timingsSection.parse({}), scale: 7 })))
      assert.ok(Number.isInteger(time) && time >= 1, String(time));
  });

  it('have an end', () => {
    assert.equal(parseDuration('36500d'), 36_500 * 86_400_000);
    for (const written of ['36501d', '999999999999d', `${'9'.repeat(400)}h`])
      assert.equal(parseDuration(written), null, written);
    assert.match(String(retentionSection.safeParse({ alarms: '999999999999d' }).error), /at most 36500d/);
  });

  it('have one that their timers can take, where they are of connections', () => {
    for (const key of ['headersTimeout', 'bodyTimeout', 'idleTimeout', 'readerPatience'])
      assert.match(String(limitsSection.safeParse({ [key]: '30d' }).error), /at most 1d/, key);
  });
});
