import assert from 'node:assert/strict';
import { milliseconds, Secret, seconds } from '../../plugin-api/index.ts';
import { CommandLine } from '../../src/drivers/switch/force10-cli/command-line.ts';
import type { SwitchShell } from '../../src/drivers/switch/force10-cli/ssh-shell.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';

const password = 'correct-horse-battery';

// A refusal in the usual form went into the error as it was, and last words were cut before the password was taken out of them.
for (const [what, refusal] of [
  ['in a refusal', `% Error: "${password}" is a bad secret`],
  ['where the text is cut', `${'x'.repeat(280)} ${password}`],
] as const)
  it(`a switch that repeats the enable password ${what} does not bring it into the error`, async () => {
    let say: (bytes: Buffer) => void = () => undefined;
    const shell = {
      hostKey: '',
      write: (text: string) => {
        const answer = text === 'enable\r' ? 'enable\r\nPassword: ' : `\r\n${refusal}\r\ntor-a>`;
        setImmediate(() => say(Buffer.from(answer)));
      },
      onData: (listener: (bytes: Buffer) => void) => (say = listener),
      onClosed: () => undefined,
    } as unknown as SwitchShell;
    const line = new CommandLine(shell, new SystemClock(), milliseconds(20), 'tor-a');
    await assert.rejects(line.enable(new Secret(password), { timeout: seconds(5) }), (error: Error) => {
      assert.ok(!JSON.stringify([error, error.message]).includes(password.slice(0, 8)), error.message);
      return true;
    });
  });
