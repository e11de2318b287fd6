import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { OperationView, StepView } from '../../src/cli/admin/api-types.ts';
import { csbm } from './run-csbm.ts';

const operation = (more: Partial<OperationView> = {}): { readonly operation: OperationView } => ({
  operation: {
    id: 'op-1',
    machineId: 'abc123',
    kind: 'start',
    state: 'running',
    subject: 'c/i-2-7-VM',
    requester: { principal: 'admin', door: 'admin', reason: '' },
    createdAt: 1_000,
    deadlineAt: 9_000,
    endedAt: null,
    cancelledBy: null,
    error: null,
    undoError: null,
    ...more,
  },
});

const step = (seq: number, more: Partial<StepView> = {}): { readonly step: StepView } => ({
  step: {
    seq,
    name: `step-${seq}`,
    direction: 'do',
    attempt: 1,
    state: 'done',
    startedAt: 1,
    endedAt: 2,
    progress: null,
    evidence: { summary: `evidence ${seq}`, verified: true },
    error: null,
    ...more,
  },
});

/** Each connection gets the next list of lines; a list that does not end the operation ends in a broken connection. */
describe('csbm operation follow', () => {
  let scripts: (readonly object[])[];
  const server = http.createServer((_req, res) => {
    const lines = scripts.shift();
    if (!lines) {
      res.writeHead(404, { 'content-type': 'application/json' });
      res.end(
        JSON.stringify({ error: { code: 'request.not-found', retry: 'never', what: 'no more lines' } }),
      );
      return;
    }
    res.writeHead(200, { 'content-type': 'application/x-ndjson' });
    // Cut anywhere, as a network does.
    const text = `\n${lines.map((line) => `${JSON.stringify(line)}\n`).join('')}\n`;
    res.write(text.slice(0, 25));
    res.write(text.slice(25), () => {
      const last = lines.at(-1) as Partial<ReturnType<typeof operation>>;
      if (last.operation?.endedAt != null) res.end();
      else res.destroy();
    });
  });
  let env: Record<string, string>;
  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    env = { CSBM_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, CSBM_TOKEN: 'x' };
  });
  after(() => {
    server.close();
    server.closeAllConnections();
  });

  const done = operation({ state: 'done', endedAt: 2_500 });

  it('tells each step once, in order, and that what could not be shown back was only set', async () => {
    const unverified = { summary: 'boot device disk', verified: false };
    scripts = [
      [
        step(0, { state: 'intent', evidence: null, endedAt: null }),
        operation(),
        step(0),
        step(0),
        step(1, {
          state: 'failed',
          evidence: null,
          error: { code: 'power.busy', retry: 'later', what: 'it is busy' },
        }),
        step(2, { name: 'step-1', attempt: 2, evidence: unverified }),
        step(3, { direction: 'undo' }),
        done,
      ],
    ];
    const { code, out, err } = await csbm(['operation', 'follow', 'op-1'], { env });
    assert.deepEqual([code, err], [0, '']);
    assert.deepEqual(out.split('\n'), [
      '  ok        step-0: evidence 0',
      '  failed    step-1: it is busy [power.busy]',
      '  set       step-1 (attempt 2): boot device disk',
      '  ok        undo step-3: evidence 3',
      'start done after 1.5 s',
      '',
    ]);
  });

  it('goes on after a service that restarts, without telling anything twice', async () => {
    scripts = [
      [step(0), operation()],
      [step(0), step(1), operation(), done],
    ];
    const { code, out } = await csbm(['operation', 'follow', 'op-1'], { env });
    assert.equal(code, 0);
    assert.equal(
      out,
      '  ok        step-0: evidence 0\n  ok        step-1: evidence 1\nstart done after 1.5 s\n',
    );
  });

  it('shows progress in place on a terminal, cut to its width', async () => {
    const progress = { activity: `writing ${'x'.repeat(200)}`, percent: 41.7 };
    scripts = [
      [
        step(0, { state: 'intent', evidence: null, progress: { ...progress, activity: 'writing' } }),
        operation(),
      ],
      [step(0, { state: 'intent', evidence: null, progress }), operation(), step(0), done],
    ];
    const { out } = await csbm(['operation', 'follow', 'op-1'], { env, keys: '' });
    assert.ok(out.includes('\r\u001b[K  ... step-0: writing 42 %'));
    assert.ok(out.includes('\r\u001b[Kthe service does not answer; trying again'));
    for (const line of out.split(/[\r\n]/)) assert.ok(line.replace('\u001b[K', '').length < 100, line);
  });

  it('ends with 1 when the operation failed, with both reasons when its undo failed too', async () => {
    const error = {
      code: 'deploy.stalled',
      retry: 'later',
      what: 'no sign of life',
      said: 'nothing',
    } as const;
    const undoError = { code: 'power.unreachable', retry: 'later', what: 'no answer' } as const;
    const failed = operation({ state: 'failed', endedAt: 61_000, error, undoError });
    scripts = [[step(0), failed]];
    const told = await csbm(['operation', 'follow', 'op-1'], { env });
    assert.equal(told.code, 1);
    assert.match(told.out, /^start failed after 1 m 0 s$/m);
    assert.match(told.err, /^error: no sign of life; it said: nothing \[deploy\.stalled\]$/m);
    assert.match(told.err, /^error: its undo failed too: no answer \[power\.unreachable\]$/m);

    scripts = [[step(0), failed]];
    const { code, out } = await csbm(['operation', 'follow', 'op-1', '--json'], { env });
    assert.equal(code, 1);
    assert.deepEqual(JSON.parse(out), { ...failed, steps: [step(0).step], error });
  });

  it('does not wait for an operation that there is none of', async () => {
    scripts = [];
    const { code, err } = await csbm(['operation', 'follow', 'op-9'], { env });
    assert.equal(code, 1);
    assert.match(err, /\[request\.not-found\]/);
  });
});
