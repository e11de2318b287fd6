import { deepEqual, equal, ok, rejects } from 'node:assert/strict';
import fc from 'fast-check';
import { CommandLine } from '../../../src/drivers/switch/force10-cli/command-line.ts';
import type { SwitchShell } from '../../../src/drivers/switch/force10-cli/ssh-shell.ts';
import { ManualClock } from '../../../src/kernel/clock/manual-clock.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import {
  DeviceError,
  Secret,
  milliseconds,
  seconds,
  type Clock,
  type DeviceCode,
} from '../../../plugin-api/index.ts';

/** A shell whose other side is the test: each line sent is answered by `reply`, cut into the given chunk sizes. */
class ScriptedShell implements SwitchShell {
  readonly hostKey = '';
  readonly sent: string[] = [];
  reply: (line: string) => string | null = () => null;
  sizes: readonly number[] = [1_000_000];
  #onData: (chunk: Buffer) => void = () => undefined;
  #onClosed: (reason: string) => void = () => undefined;

  write(text: string): void {
    this.sent.push(text);
    const answer = this.reply(text.replace(/\r$/, ''));
    if (answer !== null) void this.say(answer);
  }

  /** Sends text in chunks, each in a turn of its own. */
  async say(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    for (let at = 0, i = 0; at < bytes.length; i += 1) {
      const size = this.sizes[i % this.sizes.length]!;
      const chunk = bytes.subarray(at, at + size);
      at += size;
      await new Promise((resolve) => setImmediate(resolve));
      this.#onData(chunk);
    }
  }

  hangUp(reason: string): void {
    this.#onClosed(reason);
  }

  onData(listener: (chunk: Buffer) => void): void {
    this.#onData = listener;
  }

  onClosed(listener: (reason: string) => void): void {
    this.#onClosed = listener;
  }

  async close(): Promise<void> {}

  destroy(): void {}
}

const options = { timeout: seconds(5) };
const settle = milliseconds(20);

async function loggedIn(
  clock: Clock = new SystemClock(),
): Promise<{ shell: ScriptedShell; line: CommandLine }> {
  const shell = new ScriptedShell();
  const line = new CommandLine(shell, clock, settle, 'switch tor-a');
  const prompt = line.firstPrompt(options);
  await shell.say('\r\ntor-a#');
  await settled(clock);
  equal((await prompt).host, 'tor-a');
  return { shell, line };
}

/** Lets the settling time pass on a clock that moves only when told. */
async function settled(clock: Clock): Promise<void> {
  if (!(clock instanceof ManualClock)) return;
  await new Promise((resolve) => setImmediate(resolve));
  await clock.advance(settle);
}

function withCode(code: DeviceCode, about?: RegExp): (error: unknown) => boolean {
  return (error) => {
    ok(error instanceof DeviceError, String(error));
    equal(error.code, code);
    if (about) ok(about.test(error.message), error.message);
    return true;
  };
}

describe('command line of OS9', () => {
  it('gives the same answer however its bytes arrive', async () => {
    const traps = fc.constantFrom(
      ' description tor-a# ',
      ' description tor-a(conf)#',
      '    100    Active    host>                           U Te 1/1',
      ' description größer 😀 >',
      'Description: uplink to tor-b#',
      '!',
      '',
    );
    const chunks = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(fc.array(traps), chunks, async (output, sizes) => {
        // A clock that stands still: nothing but the text itself may end the answer.
        const { shell, line } = await loggedIn(new ManualClock());
        shell.sizes = sizes;
        shell.reply = (command) => [command, ...output, 'tor-a#'].join('\r\n');
        const answer = await line.run('show something', options);
        deepEqual(
          answer.lines,
          output.map((text) => text.trimEnd()),
        );
      }),
      { numRuns: 60 },
    );
  });

  it('leaves out log lines before, within and after the output', async () => {
    const { shell, line } = await loggedIn();
    const log = 'Mar 30 20:20:41: %STKUNIT0-M:CP %IFMGR-5-OSTATE_UP: Changed interface state to up: Te 1/1';
    shell.reply = (command) => `\r\n${log}\r\ntor-a#${command}\r\none\r\n${log}\r\ntwo\r\n${log}\r\ntor-a#`;
    deepEqual((await line.run('show something', options)).lines, ['one', 'two']);
  });

  it('does not take a prompt that was redrawn after a log line for the end', async () => {
    const clock = new ManualClock();
    const { shell, line } = await loggedIn(clock);
    shell.reply = (command) => `${command}\r\n%STKUNIT0-M:CP %SYS-5-CONFIG_I: Configured from vty1\r\ntor-a#`;
    const answer = line.run('show something', options);
    await new Promise((resolve) => setImmediate(resolve));
    await shell.say('\r\none\r\ntor-a#');
    ok((await answer).lines.includes('one'));
  });

  it('finds the echo of a command that the switch broke at its own width', async () => {
    const command = 'no untagged TenGigabitEthernet 1/1,1/2,1/3,1/4,1/5,1/6,1/7,1/8,1/9,1/10,1/11,1/12';
    for (let width = 4; width <= command.length; width += 1) {
      // A clock that stands still: the broken echo must not cost the settling time.
      const { shell, line } = await loggedIn(new ManualClock());
      const echo = command.match(new RegExp(`.{1,${width}}`, 'g'))!.join('\r\n');
      shell.reply = () => `${echo}\r\n% Error: one\r\ntor-a#`;
      deepEqual((await line.run(command, options)).lines, ['% Error: one']);
    }
  });

  it('knows the echo of a command whose beginning scrolled out of the line', async () => {
    // As recorded: `DellEMC#$ip ssh rsa-authentication my-authorized-keys flash:`.
    const { shell, line } = await loggedIn(new ManualClock());
    const command = 'no untagged TenGigabitEthernet 1/1,1/2,1/3,1/4,1/5,1/6,1/7,1/8,1/9,1/10';
    shell.reply = () => `\rtor-a#$${command.slice(-30)}     \r\n% Error: one\r\ntor-a#`;
    deepEqual((await line.run(command, options)).lines, ['% Error: one']);
  });

  it('does not take a late prompt, from before the command, for the end', async () => {
    const { shell, line } = await loggedIn(new ManualClock());
    shell.reply = () => '\r\ntor-a#';
    const answer = line.run('show something', options);
    await new Promise((resolve) => setImmediate(resolve));
    await shell.say('show something\r\none\r\ntor-a#');
    deepEqual((await answer).lines, ['one']);
  });

  it('believes another hostname when the line stays silent', async () => {
    const { shell, line } = await loggedIn();
    shell.reply = (command) => `${command}\r\ntor-b#`;
    equal((await line.run('hostname tor-b', options)).prompt.host, 'tor-b');
    shell.reply = (command) => `${command}\r\nfine\r\ntor-b(conf)#`;
    deepEqual(await line.run('configure', options), {
      lines: ['fine'],
      prompt: { host: 'tor-b', mode: 'conf', privileged: true },
    });
  });

  it('turns pages, whatever the switch does to rub out the pager', async () => {
    for (const rubout of [
      '\b'.repeat(8) + ' '.repeat(8) + '\b'.repeat(8),
      '\r        \r',
      '\r\x1b[K',
      '\r\n',
    ]) {
      const { shell, line } = await loggedIn();
      shell.reply = (command) =>
        command === ' ' ? `${rubout}two\r\ntor-a#` : `${command}\r\none\r\n--More--`;
      const { lines } = await line.run('show something', options);
      deepEqual(
        lines.filter((text) => text !== ''),
        ['one', 'two'],
      );
      equal(shell.sent.filter((text) => text === ' ').length, 1);
    }
  });

  it('acknowledges a banner before the first prompt', async () => {
    const shell = new ScriptedShell();
    const line = new CommandLine(shell, new SystemClock(), settle, 'switch tor-a');
    shell.reply = (answer) => (answer === 'y' ? '\r\ntor-a>' : null);
    const prompt = line.firstPrompt(options);
    await shell.say('Authorised use only # really >\r\nDo you accept? [y/n]: ');
    deepEqual(await prompt, { host: 'tor-a', mode: null, privileged: false });
  });

  it('answers questions only where told to', async () => {
    const { shell, line } = await loggedIn();
    shell.reply = (text) => (text === 'yes' ? 'yes\r\n!\r\ntor-a#' : `${text}\r\nProceed [confirm yes/no]:`);
    deepEqual((await line.run('write memory', { ...options, confirm: 'yes' })).lines.at(-1), '!');
    await rejects(line.run('reload', options), withCode('switch.protocol', /Proceed/));
  });

  it('ends with a timeout, a lost session or the reason given, never hangs', async () => {
    const short = { timeout: milliseconds(60) };
    const { shell, line } = await loggedIn();
    shell.reply = (command) => `${command}\r\nhalf an ans`;
    await rejects(line.run('show something', short), withCode('switch.timeout', /half an ans/));
    const told = new AbortController();
    const stopped = line.run('show something', { ...options, signal: told.signal });
    told.abort(new Error('enough'));
    await rejects(stopped, /enough/);
    const lost = line.run('show something', options);
    shell.hangUp('reset by peer');
    await rejects(lost, withCode('switch.session-lost', /reset by peer/));
  });

  describe('enable', () => {
    const secret = new Secret('enable-secret');

    it('sends the password when asked, and does without when not', async () => {
      const { shell, line } = await loggedIn();
      shell.reply = (text) => (text === 'enable' ? 'enable\r\nPassword: ' : '\r\ntor-a#');
      equal((await line.enable(secret, options)).privileged, true);
      deepEqual(shell.sent.slice(-2), ['enable\r', 'enable-secret\r']);
      shell.reply = (text) => `${text}\r\ntor-a#`;
      equal((await line.enable(undefined, options)).privileged, true);
    });

    it('fails without showing the password, even where the switch echoes it', async () => {
      for (const refusal of ['% Bad secret\r\ntor-a>', 'Password: ', 'you typed enable-secret\r\ntor-a>']) {
        const { shell, line } = await loggedIn();
        shell.reply = (text) => (text === 'enable' ? 'enable\r\nPassword: ' : `\r\n${refusal}`);
        await rejects(line.enable(secret, options), (error: Error) => {
          ok(!error.message.includes('enable-secret'), error.message);
          return withCode('switch.auth')(error);
        });
      }
      const { shell, line } = await loggedIn();
      shell.reply = () => 'enable\r\nPassword: ';
      await rejects(line.enable(undefined, options), withCode('switch.auth', /rack config has none/));
    });
  });
});
