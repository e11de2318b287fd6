import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { currentProcess, isProvablyDead } from '../../../src/operations/instances/process-identity.ts';

describe('which process an instance is', () => {
  before(function () {
    if (process.platform !== 'linux') this.skip();
  });

  it('a process that runs is not dead, and one that has ended is', async () => {
    assert.equal(isProvablyDead(currentProcess()), false);
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'ignore' });
    await once(child, 'spawn');
    const [boot, space, , started] = currentProcess().split(' ');
    // The number is another process's now, which was started at another time.
    assert.equal(isProvablyDead([boot, space, child.pid, Number(started) - 1].join(' ')), true);
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(isProvablyDead([boot, space, child.pid, started].join(' ')), true);
  });

  it('what cannot be seen from here is never called dead', () => {
    const [boot, space, , started] = currentProcess().split(' ');
    for (const identity of [
      '',
      'x',
      `other-boot ${space} 1 ${started}`,
      `${boot} pid:[1] 999999999 ${started}`,
    ])
      assert.equal(isProvablyDead(identity), false, identity);
  });
});
