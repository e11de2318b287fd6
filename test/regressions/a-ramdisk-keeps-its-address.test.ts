import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

// The ramdisk asked for a lease and for no renewal. Ten minutes later its address was free for the next machine, in the middle of an erase of
// hours: dnsmasq 2.90 gave it away at once, with udhcpc of busybox 1.35 still using it.
it('the ramdisk leaves somebody there who renews its lease', () => {
  const init = readFileSync(new URL('../../src/drivers/deploy/native/agent/init', import.meta.url), 'utf8');
  const options = /&& udhcpc ([^\n]*)/.exec(init)![1]!.split(' ');
  assert.ok(options.includes('-n'), 'it gives up without a lease, and is asked again');
  // busybox, udhcpc.c: it ends once it has a lease, or stays in the foreground, where nothing would go on.
  for (const option of ['-q', '-f']) assert.ok(!options.includes(option), option);
});
