import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { csbm, startCsbm } from './run-csbm.ts';

interface Running {
  readonly child: ChildProcess;
  /** So far. */
  readonly said: { readonly out: string; readonly err: string };
  /** Exit code and signal, once it is over and everything it said was read. */
  readonly closed: Promise<[number | null, NodeJS.Signals | null]>;
}

interface Up {
  readonly adminUrl: string;
  readonly bootUrl: string;
  readonly adminTokenFile: string;
  readonly pid: number;
}

/** What runs in the foreground, as the processes that they are. */
describe('csbm in the foreground', function () {
  this.timeout(60_000);
  let folder: string;
  let running: Running[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'csbm-serve-'));
    running = [];
    writeFileSync(
      join(folder, 'csbm.yaml'),
      'stateDir: ./state\nhttp: {port: 0}\nboot: {port: 0}\ntimings: {scale: 50}\n' +
        'power: {settings: {answerTimeouts: [50, 50]}}\n',
    );
  });
  afterEach(async () => {
    for (const { child, closed } of running) {
      child.kill('SIGKILL');
      await closed;
    }
    rmSync(folder, { recursive: true, force: true });
  });

  const launch = (args: readonly string[], env: Record<string, string> = {}): Running => {
    const child = startCsbm(args, { cwd: folder, env });
    const said = { out: '', err: '' };
    child.stdout!.on('data', (chunk: Buffer) => (said.out += chunk.toString()));
    child.stderr!.on('data', (chunk: Buffer) => (said.err += chunk.toString()));
    const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    const one = { child, said, closed };
    running.push(one);
    return one;
  };
  /** Starts what stays, and gives the document that it prints once it is up. */
  const up = async <T>(args: readonly string[], env: Record<string, string> = {}): Promise<[Running, T]> => {
    const one = launch([...args, '--json'], env);
    const early = one.closed.then(([code]) => {
      throw new Error(`it ended with ${code}: ${one.said.err}`);
    });
    early.catch(() => undefined);
    while (!one.said.out.endsWith('}\n')) await Promise.race([once(one.child.stdout!, 'data'), early]);
    return [one, JSON.parse(one.said.out) as T];
  };
  const run = (service: Up, ...args: string[]) =>
    csbm(args, {
      cwd: folder,
      env: {
        CSBM_URL: service.adminUrl,
        CSBM_TOKEN_FILE: service.adminTokenFile,
        CSBM_BMC_PASSWORD: 'pw',
      },
    });

  it('serve says where it is, serves, and stops orderly on SIGTERM', async () => {
    const [{ child, closed, said }, service] = await up<Up>(['serve']);
    assert.equal(service.pid, child.pid);
    assert.equal(service.adminTokenFile, join(folder, 'state', 'admin.token'));
    assert.equal(statSync(service.adminTokenFile).mode & 0o777, 0o600);
    assert.ok((await fetch(`${service.bootUrl}/`)).status < 500);
    assert.equal((await run(service, 'status')).code, 0);
    child.kill('SIGTERM');
    assert.deepEqual(await closed, [0, null]);
    assert.match(said.err, /"msg":"csbm is down"/);
  });

  it('serve stops on Ctrl-C too; a second one on the same state is refused meanwhile', async () => {
    const [{ child, closed }] = await up<Up>(['serve']);
    const second = launch(['serve', '--json']);
    assert.deepEqual(await second.closed, [1, null]);
    const { error } = JSON.parse(second.said.out) as { error: { code: string } };
    assert.equal(error.code, 'store.locked');
    child.kill('SIGINT');
    assert.deepEqual(await closed, [0, null]);
  });

  it('serve refuses a wrong configuration with 1, before it makes anything', async () => {
    writeFileSync(join(folder, 'csbm.yaml'), 'stateDir: ./state\nhttp: {port: x}\n');
    const { closed, said } = launch(['serve']);
    assert.deepEqual(await closed, [1, null]);
    assert.match(said.err, /csbm\.yaml, line 2, column 8, http\.port/);
    assert.deepEqual(readdirSync(folder), ['csbm.yaml']);
  });

  it('serve can be told to die at a boundary of the journal; the next one finds what was begun', async () => {
    const boundary = 'commission:bmc.probe:intent';
    const [first, service] = await up<Up>(['serve'], {
      CSBM_TEST_CRASH_AT: `${boundary}#2`,
      CSBM_TEST_TRACE_BOUNDARIES: '1',
    });
    const bmc = ['--bmc', '127.0.0.1:9', '--bmc-user', 'admin'];
    const enrolled = await run(service, 'machine', 'enrol', 'node-1', '--mac', '52:54:00:aa:00:01', ...bmc);
    assert.equal(enrolled.code, 0, enrolled.err);
    const begun = await run(service, 'machine', 'commission', 'node-1', '--no-follow', '--json');
    const { id } = (JSON.parse(begun.out) as { operation: { id: string } }).operation;
    // The first attempt fails because nobody is there; the intent of the second is where it dies.
    assert.deepEqual(await first.closed, [null, 'SIGKILL']);
    const traced = first.said.err.split('\n').filter((line) => line.includes('"boundary"'));
    assert.deepEqual(
      traced.map((line) => (JSON.parse(line) as { boundary: string }).boundary),
      [boundary, boundary],
    );

    const [second, again] = await up<Up>(['serve']);
    const followed = await run(again, 'operation', 'follow', id, '--json');
    assert.equal(followed.code, 1, followed.err);
    const { steps } = JSON.parse(followed.out) as {
      steps: { name: string; state: string; attempt: number }[];
    };
    assert.deepEqual([steps[0]?.name, steps[0]?.state, steps[0]?.attempt], ['bmc.probe', 'failed', 1]);
    assert.ok(steps.every((step) => step.state !== 'intent'));
    second.child.kill('SIGTERM');
    assert.deepEqual(await second.closed, [0, null]);
  });

  it('lab bmc answers csbm power, and ends on Ctrl-C', async () => {
    const [{ child, closed }, at] = await up<{ host: string; port: number; user: string }>(['lab', 'bmc'], {
      CSBM_LAB_PASSWORD: 'lab-pw',
    });
    const target = ['--bmc', `${at.host}:${at.port}`, '--user', at.user];
    const power = launch(['power', 'on', ...target, '--json'], { CSBM_BMC_PASSWORD: 'lab-pw' });
    assert.deepEqual(await power.closed, [0, null]);
    assert.equal((JSON.parse(power.said.out) as { power: string }).power, 'on');
    const wrong = launch(['power', 'status', ...target], { CSBM_BMC_PASSWORD: 'wrong' });
    assert.deepEqual(await wrong.closed, [1, null]);
    assert.match(wrong.said.err, /\[power\.auth\]/);
    child.kill('SIGINT');
    assert.deepEqual(await closed, [0, null]);
  });
});
