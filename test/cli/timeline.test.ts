import assert from 'node:assert/strict';
import type { MachineId } from '../../src/core/machine/machine.ts';
import { recordEvents } from '../../src/operations/timeline/record-event.ts';
import { AdminService, assertRefused, enrolment } from '../api/admin/admin-service.ts';
import { csbm, type Ended, type RunOptions } from './run-csbm.ts';

describe('csbm timeline and csbm prune', () => {
  const service = new AdminService();
  let id: MachineId;
  const now = Date.now();
  const minute = 60_000;

  before(async () => {
    await service.start();
    id = (await service.post('/machines', enrolment(1))).json.machine.id as MachineId;
    await service.post('/machines', enrolment(2, { pool: 'gpu' }));
    await service.storage.run((tx) =>
      recordEvents(
        tx,
        Array.from({ length: 30 }, (_, i) => ({
          at: now - (30 - i) * minute,
          machineId: id,
          kind: 'port' as const,
          text: `tor-a Te 1/${i}`,
          before: 'native 100',
          after: `native ${200 + i}`,
          took: 1_500,
        })),
      ),
    );
  });
  after(() => service.dispose());

  const run = (args: readonly string[], options: RunOptions = {}): Promise<Ended> =>
    csbm(args, {
      ...options,
      env: { CSBM_URL: service.url, CSBM_TOKEN_FILE: service.tokenFile, ...options.env },
    });
  interface Document {
    readonly machine: { readonly hostname: string };
    readonly entries: readonly { readonly text: string; readonly after: string }[];
    readonly more: boolean;
  }
  const document = async (...args: readonly string[]): Promise<Document> => {
    const { code, out, err } = await run(['timeline', 'node-1', ...args, '--json']);
    assert.equal(code, 0, err);
    return JSON.parse(out) as Document;
  };

  it('is a table for people, the oldest first, and a document for programs', async () => {
    const { code, out } = await run(['timeline', 'node-1']);
    assert.equal(code, 0);
    const lines = out.trimEnd().split('\n');
    assert.match(lines[0]!, /^AT +WHAT +TEXT +TOOK$/);
    assert.match(
      lines[1]!,
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z +port +tor-a Te 1\/0: native 100 -> native 200 +1\.5 s$/,
    );
    assert.equal(lines.length, 31);
    const { machine, entries, more } = await document();
    assert.equal(machine.hostname, 'node-1');
    assert.equal(entries.length, 30);
    assert.equal(entries[29]!.after, 'native 229');
    assert.equal(more, false);
  });

  it('shows the latest so many, and what is within a time', async () => {
    const latest = await document('--limit', '3');
    assert.deepEqual(
      latest.entries.map(({ text }) => text),
      ['tor-a Te 1/27', 'tor-a Te 1/28', 'tor-a Te 1/29'],
    );
    assert.equal(latest.more, true);
    assert.match((await run(['timeline', 'node-1', '--limit', '3'])).out, /There is more before this/);
    const since = new Date(now - 10 * minute).toISOString();
    const until = new Date(now - 8 * minute).toISOString();
    assert.equal((await document('--since', since, '--until', until)).entries.length, 3);
    assert.equal((await document('--since', '1h')).entries.length, 30);
    assert.equal((await document('--operation', 'op-none')).entries.length, 0);
    const wrong = await run(['timeline', 'node-1', '--since', 'yesterday']);
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /2h, 3d/);
  });

  it('follows, and tells each thing once', async () => {
    const interrupt = new AbortController();
    let added = false;
    const { code, out } = await run(['timeline', 'node-1', '--follow', '--since', '1h'], {
      interrupt: interrupt.signal,
      onOutput: (soFar) => {
        if (!added) {
          added = true;
          void service.storage.run((tx) =>
            recordEvents(tx, [{ at: Date.now(), machineId: id, kind: 'power', text: 'somebody was here' }]),
          );
        }
        if (soFar.includes('somebody was here')) interrupt.abort();
      },
    });
    assert.equal(code, 130);
    const lines = out.trimEnd().split('\n');
    assert.equal(lines.length, 31);
    assert.equal(new Set(lines).size, 31);
    assert.match(lines[30]!, /power +somebody was here$/);
  });

  it('is for those who may see a machine and its past, within their scope', async () => {
    const add = async (name: string, role: string, scope: string): Promise<string> =>
      (await service.post('/principals', { name, role, scope })).json.token;
    const eyes = await add('eyes', 'viewer', 'pool:gpu');
    const cloud = await add('acme', 'cloud', '*');
    const path = (name: string): string => `/machines/${name}/timeline`;
    assert.equal((await service.call('GET', path('node-2'), { token: eyes })).status, 200);
    assertRefused(await service.call('GET', path('node-1'), { token: eyes }), 404, 'machine.unknown');
    assertRefused(await service.call('GET', path('node-1'), { token: cloud }), 403, 'request.forbidden');
    assertRefused(await service.get(`${path('node-1')}?limit=501`), 400, 'request.invalid');
    assertRefused(await service.get(`${path('node-1')}?cursor=zzz`), 400, 'request.invalid');
    assertRefused(await service.call('POST', '/prune', { token: eyes }), 403, 'request.forbidden');
  });

  it('prune counts first, and then removes', async () => {
    await service.storage.run((tx) =>
      recordEvents(tx, [
        { at: now - 400 * 24 * 60 * minute, machineId: id, kind: 'power', text: 'long ago' },
      ]),
    );
    const planned = await run(['prune', '--dry-run']);
    assert.match(planned.out, /^WHAT +WOULD GO\ntimeline +1\noperations +0\n/);
    assert.match((await run(['timeline', 'node-1'])).out, /long ago/);
    const { out } = await run(['prune', '--json']);
    const { dryRun, rows } = JSON.parse(out) as { dryRun: boolean; rows: Record<string, number> };
    assert.deepEqual([dryRun, rows['timeline']], [false, 1]);
    assert.doesNotMatch((await run(['timeline', 'node-1'])).out, /long ago/);
    assert.match((await run(['metrics'])).out, /csbm_pruned_rows_total\{what="timeline"\} 1/);
  });
});
