import assert from 'node:assert/strict';
import { DeviceError, milliseconds, seconds } from '../../plugin-api/index.ts';
import { CommandLine } from '../../src/drivers/switch/force10-cli/command-line.ts';
import type { SwitchShell } from '../../src/drivers/switch/force10-cli/ssh-shell.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';

// What a switch says was kept until the command's end, however much it was: a hostile one could fill the memory within the timeout.
for (const [what, chunk] of [
  ['lines', Buffer.from(`${'x'.repeat(63)}\r\n`.repeat(16_384))],
  ['one line', Buffer.from('x'.repeat(2 ** 16))],
] as const)
  it(`a switch that sends ${what} without end loses the session, and nothing is kept`, async function () {
    this.timeout(60_000);
    let say: (bytes: Buffer) => void = () => undefined;
    const shell = {
      hostKey: '',
      write: () => undefined,
      onData: (listener: (bytes: Buffer) => void) => (say = listener),
      onClosed: () => undefined,
      end: () => undefined,
    } as unknown as SwitchShell;
    const line = new CommandLine(shell, new SystemClock(), milliseconds(50), 'tor-1');
    const answer = line.run('show vlan', { timeout: seconds(50) });
    const state = { over: false };
    const refused = assert.rejects(
      answer,
      (error) => error instanceof DeviceError && error.code === 'switch.session-lost',
    );
    void refused.finally(() => (state.over = true)).catch(() => undefined);
    for (let i = 0; i < 100 && !state.over; i += 1) {
      say(chunk);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(state.over, 'it is given up');
    await refused;
  });
