import assert from 'node:assert/strict';
import type { Stage } from '../../lab/demo/stage.ts';
import { destroyCommand, startCommand } from '../../lab/management-server/commands.ts';
import type { HealthView } from '../../src/cli/admin/api-types.ts';
import { JumpingClock } from '../support/jumping-clock.ts';
import { launchLocally } from '../support/local-service.ts';
import { localStage } from '../support/local-stage.ts';
import { until } from '../support/until.ts';

const hour = 3_600_000;

/** Wall time is stored and shown; deadlines, timeouts, schedules and leases go by the steady clock. */
describe('a wall clock that jumps by an hour', function () {
  this.timeout(120_000);
  const clock = new JumpingClock();
  let stage: Stage;
  let close: () => Promise<void>;

  before(async () => {
    ({ stage, close } = await localStage({
      machines: 2,
      launch: (options) => launchLocally(options, clock),
    }));
  });
  afterEach(() => {
    clock.off = 0;
  });
  after(() => close());

  const links = async (): Promise<readonly unknown[]> => {
    const { agentLinks } = (await stage.admin.call('GET', '/health')) as unknown as HealthView;
    return agentLinks.map(({ machineId, state, since }) => [machineId, state, since]);
  };

  it('changes nothing about a Start, its boot conversation, links, polls, and an erase', async () => {
    const host = await stage.host('server-1');
    await until(async () => (await links()).every((link) => String(link).includes('up')), 'the links');
    const before = await links();
    const stop = clock.jumping([hour, 0, -hour, 2 * hour]);
    try {
      const instance = stage.instance('i-7-1-VM');
      const [started] = await stage.cloud.send(host, [startCommand(instance)]);
      assert.equal(started!.result, true, started!.details ?? '');
      await until(() => stage.floor.table()[0]!.leases.length > 0, 'the lease of what was installed');
      stage.floor.find('server-1').machine.losePower();
      await until(async () => {
        const { machine } = await stage.admin.call('GET', '/machines/server-1');
        return (machine as { readonly power: { readonly state: string } }).power.state === 'off';
      }, 'the poller to see it');
      const [destroyed] = await stage.cloud.send(host, [destroyCommand(instance)]);
      assert.equal(destroyed!.result, true, destroyed!.details ?? '');
      await until(async () => {
        const { machine } = await stage.admin.call('GET', '/machines/server-1');
        return (machine as { readonly state: string }).state === 'ready';
      }, 'the erase');
      assert.deepEqual(await links(), before, 'no link was made anew');
    } finally {
      stop();
    }
    assert.deepEqual(stage.floor.violations, []);
  });

  it('leaves Starts the time that they had, also while the service is down', async () => {
    const begun = await Promise.all(
      ['server-1', 'server-2'].map(async (machine, i) => {
        const { name, template, nics } = stage.instance(`i-7-${i + 2}-VM`);
        const { operation } = await stage.admin.call('POST', `/machines/${machine}/start`, {
          ...{
            externalId: `cloudstack/${name}`,
            template,
            firstDeployment: true,
            sshKeys: [],
            userData: null,
          },
          nics: (nics ?? []).map(({ mac, broadcastUri, defaultNic, deviceId }) => ({
            ...{ mac, broadcastUri, defaultNic, deviceId },
          })),
        });
        return (operation as { readonly id: string }).id;
      }),
    );
    for (const id of begun)
      await until(async () => {
        const { steps } = await stage.admin.call('GET', `/operations/${id}`);
        return (steps as readonly { readonly name: string }[]).some(({ name }) => name === 'deploy.wait');
      }, 'the install to begin');
    for (const off of [hour, -hour]) {
      await stage.service.stop();
      clock.off = off;
      await stage.serve();
    }
    for (const id of begun) {
      const ended = await stage.admin.follow(id);
      assert.equal(ended['state'], 'done', JSON.stringify(ended['error']));
    }
    assert.deepEqual(stage.floor.violations, []);
  });
});
