import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ServiceProcess } from '../../lab/demo/service-process.ts';
import { Stage } from '../../lab/demo/stage.ts';
import { startCommand } from '../../lab/management-server/commands.ts';
import type { QuarantineView, TimelineEntryView, TimelinePageView } from '../../src/cli/admin/api-types.ts';
import { stageDatabase } from '../support/temp-database.ts';
import { until } from '../support/until.ts';

describe('kill -9 of the service', function () {
  this.timeout(120_000);
  let stage: Stage;
  let running: ServiceProcess;
  let database: Awaited<ReturnType<typeof stageDatabase>>;
  let directory: string;

  before(async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'csbm-forgets-'));
    database = await stageDatabase();
    stage = await Stage.start({
      directory,
      launch: async (options) => (running = await ServiceProcess.start(options)),
      // Each process reads a BMC once: at its start.
      env: { ...database.env, CSBM_POWER_POLL_INTERVAL: '20m', CSBM_POWER_REPORT_MAX_AGE: '30m' },
      machines: 1,
      speed: 40,
      imageBytes: 2 ** 20,
      sections: { quarantine: { bmcFailures: 3, bmcDead: '1s', checkInterval: '4s' } },
    });
    await stage.serve();
    await stage.furnish();
  });

  after(async () => {
    await stage.stop();
    await database.release();
    rmSync(directory, { recursive: true, force: true });
  });

  const story = async (): Promise<readonly TimelineEntryView[]> => {
    const { entries } = (await stage.admin.call(
      'GET',
      '/machines/server-1/timeline?limit=500',
    )) as unknown as TimelinePageView;
    return entries.toReversed();
  };

  it('loses no line of a timeline, and doubles none', async () => {
    const host = await stage.host('server-1');
    const [answer] = await stage.cloud.send(host, [startCommand(stage.instance('i-2-1-VM'))]);
    assert.equal(answer?.result, true, answer?.details ?? '');
    // Long before what waits is written by itself.
    await running.kill();
    await stage.serve();
    const answers = async (): Promise<readonly TimelineEntryView[]> =>
      (await story()).filter(({ kind }) => kind === 'answer');
    await until(async () => (await answers()).some(({ text }) => text.startsWith('start')), 'the answer');
    assert.deepEqual(
      (await answers()).map(({ text }) => text).filter((text) => text.startsWith('start')),
      ['start answered: success'],
    );
    const told = (await story()).map(({ at, kind, text }) => `${at} ${kind} ${text}`);
    assert.deepEqual(told, [...new Set(told)]);
    for (const what of [/^bmc power on/, /^bmc boot device pxe/, /^engine deploy: done/])
      assert.ok(
        (await story()).some(({ kind, text }) => what.test(`${kind} ${text}`)),
        String(what),
      );
  });

  it('does not set back what was counted of a BMC that fails', async () => {
    stage.floor.find('server-1').bmc.behave({ dead: true });
    const records = async (): Promise<readonly QuarantineView[]> =>
      (await stage.admin.call('GET', '/quarantines/bmc/server-1'))[
        'quarantines'
      ] as readonly QuarantineView[];
    const failures = async (): Promise<number> => {
      const { polling } = (await stage.admin.call('GET', '/machines/server-1/power')) as {
        readonly polling: { readonly failures: number } | null;
      };
      return polling?.failures ?? 0;
    };
    for (let process = 1; process <= 3; process += 1) {
      await running.kill();
      await stage.serve();
      await until(async () => (await failures()) > 0, 'a failure of the BMC');
      assert.equal(await failures(), 1);
      if (process < 3) assert.deepEqual(await records(), [], `after ${process} failures`);
    }
    await until(async () => (await records()).some(({ since }) => since !== null), 'the quarantine');
    assert.equal(await failures(), 1, 'this process heard of one failure only');
  });
});
