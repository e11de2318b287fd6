import assert from 'node:assert/strict';
import { milliseconds, seconds } from '../../plugin-api/index.ts';
import { CommandLine } from '../../src/drivers/switch/force10-cli/command-line.ts';
import type { SwitchShell } from '../../src/drivers/switch/force10-cli/ssh-shell.ts';
import { ManualClock } from '../../src/kernel/clock/manual-clock.ts';

// Text that ends like a question failed the command when a packet happened to end there, in the middle of the line.
it('a description that looks like a question is one only when nothing follows', async () => {
  let say: (bytes: Buffer) => void = () => undefined;
  const shell = {
    hostKey: '',
    write: () => undefined,
    onData: (listener: (bytes: Buffer) => void) => (say = listener),
    onClosed: () => undefined,
  } as unknown as SwitchShell;
  const clock = new ManualClock();
  const settle = milliseconds(50);
  const line = new CommandLine(shell, clock, settle, 'tor-a');
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  const answer = line.run('show vlan', { timeout: seconds(5) });
  say(Buffer.from('show vlan\r\n description replace it? [y/n]'));
  await turn();
  say(Buffer.from(' or not\r\ntor-a#'));
  await turn();
  await clock.advance(settle);
  assert.deepEqual((await answer).lines, [' description replace it? [y/n] or not']);

  const asked = assert.rejects(line.run('reload', { timeout: seconds(5) }), /asks a question/);
  say(Buffer.from('reload\r\nProceed with reload [confirm yes/no]: '));
  await turn();
  await clock.advance(settle);
  await asked;
});
