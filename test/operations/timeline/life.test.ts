import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Stage } from '../../../lab/demo/stage.ts';
import { destroyCommand, startCommand } from '../../../lab/management-server/commands.ts';
import type { TimelineEntryView, TimelinePageView } from '../../../src/cli/admin/api-types.ts';
import { localStage } from '../../support/local-stage.ts';
import { until } from '../../support/until.ts';

describe('the timeline of a machine on the floor', function () {
  this.timeout(60_000);
  let stage: Stage;
  let close: () => Promise<void>;

  before(async () => {
    ({ stage, close } = await localStage({ pingInterval: 1 }));
  });
  after(() => close());

  const page = async (query = ''): Promise<readonly TimelineEntryView[]> => {
    const path = `/machines/server-1/timeline?limit=500${query}`;
    const { entries } = (await stage.admin.call('GET', path)) as unknown as TimelinePageView;
    return entries.toReversed();
  };
  const line = ({ kind, outcome, text, before, after }: TimelineEntryView): string =>
    [kind, outcome, text, before !== null && `${before} -> ${after}`].filter(Boolean).join(' ');

  it('tells a Start from the command to its answer, a hand at the power button, and how it was taken back', async () => {
    const secret = randomBytes(12).toString('hex');
    const host = await stage.host('server-1');
    const userData = Buffer.from(`#cloud-config\n# ${secret}\n`).toString('base64');
    const vmData = [['userdata', 'user_data', userData]] as const;
    const instance = stage.instance('i-2-1-VM', undefined, { vmData });
    const begin = Date.now();
    const [started] = await stage.cloud.send(host, [startCommand(instance)]);
    assert.equal(started?.result, true, started?.details ?? '');
    await until(
      async () => (await page()).some(({ kind, text }) => kind === 'answer' && text.startsWith('start')),
      'the answer to be noted',
    );

    const story = (await page(`&since=${begin}`)).map(line);
    const expected = [
      /^operation begun start of cloudstack\/i-2-1-VM$/,
      /^claim claimed by cloudstack\/i-2-1-VM/,
      /^step done resolve$/,
      /^bmc boot device pxe: .*read back/,
      /^bmc power on: .* off -> on$/,
      /^engine deploy: 52:54:.* asks for its boot, and gets its order$/,
      /^engine deploy: agent started/,
      /^engine deploy: writing the image/,
      /^engine deploy: done: lab-linux written/,
      /^port tor-\d TenGigabitEthernet 1\/1: to the tenant's VLANs native 100, .* -> native 200, /,
      /^step done ports.tenant$/,
      /^bmc power on: /,
      /^operation done start of/,
      /^answer start answered: success$/,
    ];
    let from = 0;
    for (const pattern of expected) {
      const found = story.findIndex((told, i) => i >= from && pattern.test(told));
      assert.ok(found >= 0, `${pattern} is missing after ${story[from - 1]}:\n${story.join('\n')}`);
      from = found + 1;
    }

    const all = await page();
    const started1 = all.find(({ text, outcome }) => outcome === 'begun' && text.startsWith('start'))!;
    assert.match(started1.who!.reason, /^StartCommand, sequence \d+/);
    const mine = await page(`&operation=${started1.operationId}`);
    assert.ok(mine.length >= 20);
    for (const { operationId } of mine) assert.equal(operationId, started1.operationId);
    const power = mine.find(({ text }) => text.startsWith('power.on'))!;
    assert.ok(power.evidence?.verified);
    assert.ok(power.took! >= 0);

    const { machine } = stage.floor.find('server-1');
    machine.control('off', { device: 'none', efi: false });
    await until(async () => (await page()).some(({ kind }) => kind === 'power'), 'the power to be seen off');
    const seen = (await page()).find(({ kind }) => kind === 'power')!;
    assert.deepEqual([seen.before, seen.after, seen.operationId], ['on', 'off', null]);

    const [gone] = await stage.cloud.send(host, [destroyCommand(instance)]);
    assert.equal(gone?.result, true, gone?.details ?? '');
    const last = await page(`&since=${seen.at}`);
    assert.ok(last.some(({ text }) => text === 'the claim of cloudstack/i-2-1-VM ends'));
    assert.ok(last.some(({ kind, text }) => kind === 'engine' && text.startsWith('erase: done: erased')));

    const erase = await stage.admin.call('POST', '/machines/server-1/erase', { grade: 'quick' });
    const { id } = erase['operation'] as { readonly id: string };
    await assert.rejects(
      stage.admin.call('POST', '/machines/server-1/commission', {}),
      /operation\.conflict/,
    );
    await stage.admin.follow(id);
    const answers = async (): Promise<readonly TimelineEntryView[]> =>
      (await page(`&since=${seen.at}`)).filter(({ kind, who }) => kind === 'answer' && who?.door === 'admin');
    await until(async () => (await answers()).length === 2, 'both answers');
    assert.deepEqual(
      (await answers()).map(({ text, operationId }) => [text.slice(0, 24), operationId]),
      [
        ['erase answered: 202, beg', id],
        ['commission answered: 409', null],
      ],
    );
    const everything = JSON.stringify(await page());
    assert.ok(!everything.includes(secret) && !everything.includes(Buffer.from(secret).toString('base64')));
  });
});
