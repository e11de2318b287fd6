import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { currentProcess } from '../../src/operations/instances/process-identity.ts';
import { requirePeer } from '../support/peers.ts';

const module = path.resolve(import.meta.dirname, '../../src/operations/instances/process-identity.ts');

// `ProtectProc=invisible`, as in our unit, hides the processes of other users: an instance of another user was taken for ended while it
// ran, and its machines and switches were taken over at once.
it('a process of another user that /proc hides is not called dead', async function () {
  this.timeout(30_000);
  if (process.platform !== 'linux' || process.getuid?.() !== 0) this.skip();
  requirePeer(this, 'unshare');
  requirePeer(this, 'setpriv');
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  await once(child, 'spawn');
  try {
    const [boot, space] = currentProcess().split(' ');
    const judge = (pid: number): string => {
      const script = `import { isProvablyDead } from ${JSON.stringify(module)};
        import { existsSync } from 'node:fs';
        process.stdout.write(existsSync('/proc/${pid}') + ' ' + isProvablyDead('${boot} ${space} ${pid} 1'));`;
      const hidden = ['mount -t proc -o hidepid=2 proc /proc', '"$@"'].join(' && ');
      const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', script];
      const user = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
      const { stdout, stderr, status } = spawnSync(
        'unshare',
        ['--mount', 'sh', '-c', hidden, 'sh', ...user, ...node],
        { encoding: 'utf8', env: { ...process.env, HOME: '/tmp', TMPDIR: '/tmp' } },
      );
      if (status !== 0 && /unshare|mount|EACCES|denied/.test(stderr)) this.skip();
      assert.equal(status, 0, stderr);
      return stdout;
    };
    assert.equal(judge(child.pid!), 'false false');
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(judge(child.pid!), 'false true');
  } finally {
    child.kill('SIGKILL');
  }
});
