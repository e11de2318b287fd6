import assert from 'node:assert/strict';
import type { ChildProcessByStdio } from 'node:child_process';
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { once } from 'node:events';
import ssh2 from 'ssh2';

const program = new URL('../../../src/cli/direct/lab-switch.ts', import.meta.url).href;

describe('csbm lab switch', () => {
  function run(args: string[], password?: string): ChildProcessByStdio<null, Readable, Readable> {
    const source = `const { labSwitchCommand } = await import(${JSON.stringify(program)});
      await labSwitchCommand().parseAsync(${JSON.stringify(args)}, { from: 'user' });`;
    const env = { ...process.env };
    delete env['CSBM_LAB_PASSWORD'];
    return spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', source], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...env, ...(password === undefined ? {} : { CSBM_LAB_PASSWORD: password }) },
    });
  }

  async function output(stream: Readable, pattern: RegExp): Promise<string> {
    let text = '';
    for await (const bytes of stream) {
      text += String(bytes);
      if (pattern.test(text)) break;
    }
    return text;
  }

  it('says how to connect, serves, and stops at an interrupt', async () => {
    const child = run(['--user', 'ann', '--default-vlan', 'none', '--ports', 'Te 1/1-1/2'], 'quiet');
    const told = await output(child.stdout, /host key: SHA-256 [0-9a-f]{64}\n/);
    const port = Number(/ssh -p (\d+) ann@127\.0\.0\.1/.exec(told)![1]);
    assert.doesNotMatch(told, /quiet/);
    const client = new ssh2.Client();
    client.connect({ host: '127.0.0.1', port, username: 'ann', password: 'quiet' });
    await once(client, 'ready');
    client.end();
    await once(client, 'close');
    child.kill('SIGINT');
    const [code] = (await once(child, 'exit')) as [number | null];
    assert.equal(code, 0);
  });

  it('prints its own fake password when none is given', async () => {
    const child = run([]);
    assert.match(await output(child.stdout, /host key/), /password: not-a-secret\n/);
    child.kill('SIGTERM');
    assert.equal((await once(child, 'exit'))[0], 0);
  });

  it('refuses what it cannot be, with exit code 1 and one line', async () => {
    for (const args of [
      ['--ports', 'eth0'],
      ['--default-vlan', '4095'],
      ['--port', 'ssh'],
    ]) {
      const child = run(args);
      const exit = once(child, 'exit');
      assert.match(await output(child.stderr, /\n/), /^error: .*\n$/, args.join(' '));
      assert.equal((await exit)[0], 1, args.join(' '));
    }
  });
});
