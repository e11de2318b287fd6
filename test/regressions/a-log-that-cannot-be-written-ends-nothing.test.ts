import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { createLog } from '../../src/kernel/log/log.ts';
import { LogLines } from '../../src/kernel/log/log-lines.ts';

// A disk that was full for a moment where the log went (`csbm serve 2>>csbm.log`) ended the service with an uncaught ENOSPC, in the
// middle of whatever logged a line; a reader that went away did so at the next line on standard error.
describe('a log that cannot be written', () => {
  const failing = (code: string): Error => Object.assign(new Error(code), { code });

  it('throws nothing on a full disk', () => {
    const full = openSync('/dev/full', 'w');
    const log = createLog({ level: 'info', destination: new LogLines(full) });
    for (let i = 0; i < 3; i += 1) log.info('lost');
    closeSync(full);
  });

  it('says what was lost as soon as it can be written again, on a line of its own', () => {
    let written = '';
    let room = 20;
    const destination = new LogLines(0, {
      write: (_fd, bytes) => {
        if (room === 0) throw failing('ENOSPC');
        const some = bytes.subarray(0, room);
        room -= some.length;
        written += some.toString();
        return some.length;
      },
    });
    const log = createLog({ level: 'info', destination });
    for (let i = 0; i < 3; i += 1) log.info({ i }, 'lost');
    room = 10_000;
    log.info('back');
    const [cut = '', ...lines] = written.trim().split('\n');
    assert.equal(cut.length, 20);
    const [told, back] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual([told?.['lines'], told?.['reason'], told?.['level']], [3, 'ENOSPC', 40]);
    assert.deepEqual([back?.['msg'], back?.['time']], ['back', told?.['time']]);
  });

  it('waits for a reader that is slow, and only once for one that does not read', () => {
    let refusals = 3;
    let tries = 0;
    const write = (_fd: number, bytes: Buffer): number => {
      tries += 1;
      if (refusals > 0) {
        refusals -= 1;
        throw failing('EAGAIN');
      }
      return bytes.length;
    };
    const lines = new LogLines(0, { write, patience: 60_000 });
    lines.write('a\n');
    assert.equal(tries, 4);
    refusals = Number.POSITIVE_INFINITY;
    const impatient = new LogLines(0, { write, patience: 1 });
    impatient.write('a\n');
    tries = 0;
    for (let i = 0; i < 5; i += 1) impatient.write('b\n');
    assert.equal(tries, 5);
  });

  const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
  const tsx = createRequire(import.meta.url).resolve('tsx');
  const env = { PATH: process.env['PATH'], CSBM_URL: 'http://127.0.0.1:9', CSBM_TOKEN: 'x' };

  /** Runs csbm with one of its outputs on a full disk. */
  async function onFullDisk(args: readonly string[], output: 1 | 2): Promise<{ code: number; said: string }> {
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, ['--import', tsx, main, ...args], {
      stdio: ['ignore', output === 1 ? full : 'pipe', output === 2 ? full : 'pipe'],
      env,
    });
    closeSync(full);
    let said = '';
    (output === 1 ? child.stderr! : child.stdout!).on('data', (chunk: Buffer) => (said += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    return { code, said };
  }

  it('nor does standard error of csbm end the command when it cannot be written', async function () {
    this.timeout(30_000);
    assert.equal((await onFullDisk(['rack', 'show'], 2)).code, 3);
  });

  it('and standard output that cannot be written is an error in words', async function () {
    this.timeout(30_000);
    const { code, said } = await onFullDisk(['config', 'show-reference'], 1);
    assert.equal(code, 1);
    assert.match(said, /^error: standard output cannot be written \(ENOSPC\)/);
    assert.ok(!said.includes('    at '), said);
  });
});
