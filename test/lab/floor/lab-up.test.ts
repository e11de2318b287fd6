import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createInterface } from 'node:readline';

const command = new URL('../../../src/cli/direct/lab-floor.ts', import.meta.url).href;

describe('csbm lab up', () => {
  it('prints where everything is, and leaves nothing after Ctrl-C', async () => {
    const script = `import { labUpCommand } from ${JSON.stringify(command)};
      await labUpCommand().parseAsync(['--machines', '3', '--allot', '200/06:00:00:00:02:00', '--json'], { from: 'user' });`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exit = once(child, 'exit');
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const facts = JSON.parse(line) as {
      directory: string;
      rackConfig: string;
      image: string;
      switches: unknown[];
      machines: { bmc: { port: number }; nics: unknown[] }[];
    };
    assert.equal(facts.switches.length, 2);
    assert.deepEqual(
      facts.machines.map((machine) => [machine.bmc.port > 0, machine.nics.length]),
      [
        [true, 2],
        [true, 2],
        [true, 2],
      ],
    );
    assert.ok(fs.existsSync(facts.rackConfig) && fs.existsSync(facts.image));
    child.kill('SIGINT');
    assert.deepEqual(await exit, [0, null]);
    assert.equal(fs.existsSync(facts.directory), false);
  });
});
