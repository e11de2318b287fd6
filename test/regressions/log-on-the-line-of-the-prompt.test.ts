import assert from 'node:assert/strict';
import { milliseconds, parseVlanId, seconds } from '../../plugin-api/index.ts';
import { CommandLine } from '../../src/drivers/switch/force10-cli/command-line.ts';
import type { SwitchShell } from '../../src/drivers/switch/force10-cli/ssh-shell.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { intentOf, te, uplink, withLab, withSession } from '../drivers/switch/lab-fixture.ts';

// Recorded of an S4048-ON: the log writes behind the prompt, on its line, and the prompt is sometimes drawn again and sometimes
// not. Where both came in one packet the command never ended, or the answer had a line that could not be read.
const log = 'Feb  7 15:17:02 %STKUNIT1-M:CP %SYS-5-CONFIG_I: Configured from  vty0';

async function loggedIn(first: string): Promise<{ line: CommandLine; answers: (text: string) => void }> {
  let say: (bytes: Buffer) => void = () => undefined;
  let answer = '';
  const shell = {
    hostKey: '',
    write: () => setImmediate(() => say(Buffer.from(answer))),
    onData: (listener: (bytes: Buffer) => void) => (say = listener),
    onClosed: () => undefined,
  } as unknown as SwitchShell;
  const line = new CommandLine(shell, new SystemClock(), milliseconds(20), 'tor-a');
  const prompt = line.firstPrompt({ timeout: seconds(5) });
  say(Buffer.from(first));
  assert.equal((await prompt).host, 'DellEMC');
  return { line, answers: (text) => (answer = text) };
}

const options = { timeout: seconds(5) };

for (const [what, behind] of [
  ['not drawn again', ''],
  ['drawn again', 'DellEMC#'],
  ['not drawn again, and more follows', `${log}\r\n`],
  ['drawn again and written over again', `DellEMC#${log}\r\n`],
] as const) {
  it(`a command ends with the prompt that the log wrote behind: ${what}`, async () => {
    const { line, answers } = await loggedIn(`DellEMC#${log}\r\n${behind}`);
    answers(`show something\r\none\r\ntwo\r\nDellEMC#${log}\r\n${behind}`);
    const { lines, prompt } = await line.run('show something', options);
    assert.deepEqual(
      lines.filter((text) => text !== ''),
      ['one', 'two'],
    );
    assert.deepEqual(prompt, { host: 'DellEMC', mode: null, privileged: true });
  });
}

it('an answer that comes after such a prompt is waited for', async () => {
  const { line, answers } = await loggedIn('DellEMC#');
  answers(`DellEMC#${log}\r\n`);
  await assert.rejects(line.run('show something', { timeout: milliseconds(200) }), /did not come in time/);
});

it('a port moves on a switch that logs behind every prompt', async () => {
  await withLab({ chunking: 'gathered' }, { commandTimeout: '2s' }, async (fixture) => {
    const { behaviours, model } = fixture.lab;
    await withSession(fixture, async (session) => {
      behaviours.on(/./, { do: 'noise', where: 'on the prompt', lines: [log] }, { times: Infinity });
      const observed = await session.read([te(1), uplink]);
      const wish = { native: parseVlanId(100), tagged: [], admin: 'up' } as const;
      await session.apply(fixture.driver.plan(observed, intentOf(new Map([[te(1), wish]]))));
      await session.save();
      const after = await session.read([te(1)]);
      assert.equal(after.ports.get(te(1))!.native, 100);
    });
    assert.equal(model.effective(te(1)).native, 100);
  });
});
