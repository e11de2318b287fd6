import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { demoFolders, stillRuns, type DemoRecord } from '../../lab/demo/demo-record.ts';
import { until } from '../support/until.ts';
import { DemoRun, runProgram, stopDemos } from './demo-run.ts';

const lastLine = (output: string): string => output.trimEnd().split('\n').at(-1)!;

function recordOf(run: DemoRun): { readonly folder: string; readonly record: DemoRecord } {
  const [found] = demoFolders(run.temporary);
  assert.ok(found?.record, 'the demo has written down what it started');
  return { folder: found.folder, record: found.record };
}

async function listens(port: number): Promise<boolean> {
  const socket = net.connect({ host: '127.0.0.1', port });
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  }).then((open) => {
    socket.destroy();
    return open as boolean;
  });
}

describe('make demo', function () {
  this.timeout(240_000);
  const runs: DemoRun[] = [];

  function begin(env: Readonly<Record<string, string>> = {}): DemoRun {
    const run = new DemoRun(mkdtempSync(path.join(tmpdir(), 'demo-test-')), env);
    runs.push(run);
    return run;
  }

  afterEach(async () => {
    for (const run of runs.splice(0)) {
      run.signal('SIGTERM');
      await run.ended;
      rmSync(run.temporary, { recursive: true, force: true });
    }
  });

  it('two at once tell the whole story, find every check passed, and leave their transcripts only', async () => {
    const both = [begin(), begin()];
    await Promise.all(both.map((run) => run.says('5. StopCommand')));
    const services = both.map((run) => recordOf(run).record.service!);
    assert.ok(services.every((service) => stillRuns(service)));
    for (const run of both) {
      const { code, output } = await run.ended;
      assert.equal(code, 0, output);
      assert.match(lastLine(output), /^demo: \d+ checks passed, 0 failed$/);
      const passed = Number(/(\d+) checks passed/.exec(lastLine(output))![1]);
      assert.equal(passed, output.match(/^ {3}ok /gm)?.length);
      assert.ok(passed >= 45, `${passed} checks`);
      const sections = [...output.matchAll(/^\d+\. .*$/gm)].map(([line]) => line);
      assert.deepEqual(sections, [
        '1. The floor and the service',
        '2. The servers join',
        '3. CloudStack connects',
        '4. StartCommand: i-2-77-VM on server-1',
        '5. StopCommand',
        '6. StartCommand again',
        '7. PlugNicCommand, UnPlugNicCommand',
        '8. RebootCommand',
        '9. DestroyCommand, with erase',
        '10. A Start that fails half way',
        '11. A Destroy with a dead BMC',
        '12. What the floor shows',
      ]);
      assert.match(output, /deploy\.wait +\[#+\.+\] +\d+ % writing the image/);
      const left = run.left();
      assert.equal(left.length, 1, left.join());
      assert.match(left[0]!, /^csbm-demo-.*\.txt$/);
      const transcript = readFileSync(path.join(run.temporary, left[0]!), 'utf8');
      assert.match(transcript, /tor-1\(conf-if-vl-200\)#untagged/);
      assert.match(transcript, /StartAnswer/);
      assert.equal((await Promise.all(run.ports().map(listens))).includes(true), false);
    }
    assert.equal(
      services.some((service) => stillRuns(service)),
      false,
    );
  });

  // These wait more than they work, so they run beside each other.
  // A few at a time: a demo lives against the clock of its floor, and two cores carry only so many floors.
  it('leaves nothing behind when it is interrupted, wherever that is', async () => {
    const moments = ['state: ', '2. The servers join', '4. StartCommand', 'undo ports.tenant'];
    await Promise.all(moments.map((moment) => leavesNothingWhenInterrupted(begin(), moment)));
  });

  it('fails visibly where the floor is not as it was asked', async () => {
    await Promise.all([
      failsVisibly(
        begin({ CSBM_DEMO_FAULT: 'foreign-vlan' }),
        /FAILED the floor shows server-1 as asked: tor-2 Te 1\/1: 200 \+201t \+300t, asked 200 \+201t/,
      ),
      failsVisibly(
        begin({ CSBM_DEMO_FAULT: 'erase-skips' }),
        /FAILED the disks are empty: vda: there is still something on it/,
      ),
    ]);
  });

  it('stays up with KEEP=1 until it is stopped', () => staysUpUntilStopped(begin({ KEEP: '1' })));

  /** Ctrl-C: no process, port, folder or file is left. */
  async function leavesNothingWhenInterrupted(run: DemoRun, moment: string): Promise<void> {
    await run.says(moment);
    const { record } = recordOf(run);
    run.signal('SIGINT');
    const { code } = await run.ended;
    assert.equal(code, 130, `at ${moment}`);
    assert.deepEqual(run.left(), [], `at ${moment}`);
    assert.equal(record.service !== null && stillRuns(record.service), false, `at ${moment}`);
    assert.equal((await Promise.all(run.ports().map(listens))).includes(true), false, `at ${moment}`);
  }

  /** Exits 1, says what is not as it was asked, and keeps its folder. */
  async function failsVisibly(run: DemoRun, told: RegExp): Promise<void> {
    const { code, output } = await run.ended;
    assert.equal(code, 1, output);
    assert.match(output.replaceAll(/\n {10}/g, ' '), told);
    assert.match(lastLine(output), /^demo: \d+ checks passed, [1-9]\d* failed$/);
    assert.match(output, /The last lines of the service log:\n +\{/);
    const { folder, record } = recordOf(run);
    assert.ok(output.includes(`Look in ${folder}`));
    assert.ok(existsSync(path.join(folder, 'service.log')));
    assert.equal(stillRuns(record.service!), false);
  }

  /** KEEP=1: its commands work, and demo-stop ends it without a trace. */
  async function staysUpUntilStopped(run: DemoRun): Promise<void> {
    await run.says('checks passed');
    assert.match(lastLine(run.output), /^demo: \d+ checks passed, 0 failed$/, run.output);
    const { record } = recordOf(run);
    const [, url, tokenFile] = /export CSBM_URL=(\S+) CSBM_TOKEN_FILE=(\S+)/.exec(run.output)!;
    const list = await runProgram(['--import', 'tsx', 'src/cli/main.ts', 'machine', 'list'], {
      CSBM_URL: url!,
      CSBM_TOKEN_FILE: tokenFile!,
    });
    assert.equal(list.code, 0, list.output);
    assert.match(list.output, /server-1[\s\S]*server-2[\s\S]*server-3/);
    const stopped = await runProgram(stopDemos, { TMPDIR: run.temporary });
    assert.equal(stopped.code, 0, stopped.output);
    assert.match(stopped.output, /^ended and removed: /m);
    assert.equal((await run.ended).code, 0);
    assert.deepEqual(run.left(), []);
    assert.equal(stillRuns(record.service!), false);
    assert.match((await runProgram(stopDemos, { TMPDIR: run.temporary })).output, /no demo is kept up/);
  }

  it('demo-stop leaves a demo alone that is still telling its story, and clears up after a killed one', async () => {
    const run = begin();
    await run.says('2. The servers join');
    assert.match((await runProgram(stopDemos, { TMPDIR: run.temporary })).output, /left alone/);
    const { record } = recordOf(run);
    assert.ok(stillRuns(record.demo));
    run.signal('SIGKILL');
    await run.ended;
    assert.ok(stillRuns(record.service!), 'nobody could end its service');
    assert.match(
      (await runProgram(stopDemos, { TMPDIR: run.temporary })).output,
      /removed what a killed demo left/,
    );
    await until(() => !stillRuns(record.service!));
    assert.deepEqual(run.left(), []);
  });
});
