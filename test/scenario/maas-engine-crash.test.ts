import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Stage } from '../../lab/demo/stage.ts';
import type { LabAnswer } from '../../lab/management-server/agent-connection.ts';
import { destroyCommand, startCommand, type LabCommand } from '../../lab/management-server/commands.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { until } from '../support/until.ts';

/** The service dies while a MAAS works for it: what it ordered there is ordered once, and ends well. */
describe('kill -9 of the service around what it asks of an upstream MAAS', function () {
  this.timeout(180_000);
  const directory = mkdtempSync(path.join(tmpdir(), 'csbm-upstream-'));
  let stage: Stage;
  let proxy: FaultProxy;
  let host: bigint;

  before(async () => {
    stage = await Stage.start({
      directory,
      machines: 1,
      speed: 40,
      imageBytes: 2 ** 20,
      eraseGrade: 'full',
      floor: { machine: { pxeFailure: 'stop' } },
      upstream: {
        reach: async (root) => {
          proxy = await FaultProxy.start(new URL(root).origin);
          return `${proxy.root}/MAAS`;
        },
      },
    });
    await stage.serve();
    await stage.furnish();
    host = await stage.host('server-1');
  });

  after(async () => {
    const { violations } = stage.floor.oracle;
    await stage.stop();
    await proxy.stop();
    rmSync(directory, { recursive: true, force: true });
    assert.deepEqual(violations, []);
  });

  const row = () => stage.floor.table()[0]!;
  const calls = (op: string) => proxy.seen.filter((line) => line.endsWith(`op=${op}`)).length;
  const connected = () =>
    until(() => stage.cloud.hosts().some((one) => one.hostId === host && one.state === 'Up'), 'the host Up');

  /** The command is sent, the service dies at `boundary`, comes back, and gets the repetition. */
  async function through(boundary: string, command: LabCommand): Promise<LabAnswer> {
    await stage.service.stop();
    await stage.serve({ CSBM_TEST_CRASH_AT: boundary });
    await connected();
    stage.cloud.send(host, [command]).catch(() => undefined);
    assert.equal(await stage.service.exited, 'SIGKILL');
    await stage.serve();
    await connected();
    const [answer] = await stage.cloud.send(host, [command], { timeout: 120_000 });
    return answer!;
  }

  const rounds = [
    ['start-first:deploy.order:effect', 'destroy:erase.order:effect'],
    ['start-first:deploy.wait:intent', 'destroy:erase.wait:effect'],
  ] as const;
  for (const [number, [atStart, atDestroy]] of rounds.entries()) {
    it(`Start killed at ${atStart}, Destroy at ${atDestroy}`, async () => {
      const before = { deploys: calls('deploy'), releases: calls('release') };
      const instance = stage.instance(`i-9-${10 + number}-VM`);
      const started = await through(atStart, startCommand(instance));
      assert.equal(started.result, true, started.details ?? '');
      await until(() => row().leases.some(({ mac }) => mac === instance.nics![0]!.mac), 'a lease');
      assert.equal(calls('deploy'), before.deploys + 1, 'one deployment');

      const destroyed = await through(atDestroy, destroyCommand(instance));
      assert.equal(destroyed.result, true, destroyed.details ?? '');
      const state = async () =>
        ((await stage.admin.call('GET', '/machines/server-1'))['machine'] as { readonly state: string })
          .state;
      await until(async () => (await state()) === 'ready', 'the machine ready again', 90_000);
      assert.deepEqual([row().power, row().disks[0]!.image, row().disks[0]!.residue], ['off', null, null]);
      assert.equal(calls('release'), before.releases + 1, 'one erase');
    });
  }
});
