import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Stage, type StageOptions } from '../../lab/demo/stage.ts';
import { destroyCommand, startCommand, type LabCommand } from '../../lab/management-server/commands.ts';
import { FaultProxy, type ProxyFault } from '../support/fault-proxy.ts';
import { launchLocally } from '../support/local-service.ts';
import { until } from '../support/until.ts';

type Json = Readonly<Record<string, unknown>>;

/**
 * The main job with an upstream MAAS as deploy engine, which a second service of ours plays in its mode `strict: canonical`,
 * behind a proxy that spoils calls; judged by the floor.
 */
describe('an instance on a machine that an upstream MAAS installs', function () {
  this.timeout(180_000);
  const directory = mkdtempSync(path.join(tmpdir(), 'csbm-upstream-'));
  const busy: ProxyFault = { kind: 'answer', code: 503, body: 'no rack', headers: { 'retry-after': '0' } };
  const page: ProxyFault = {
    kind: 'answer',
    code: 502,
    body: '<html><head><title>502 Bad Gateway</title></head></html>',
    headers: { 'content-type': 'text/html' },
  };
  let stage: Stage;
  let proxy: FaultProxy | null = null;

  before(async () => {
    const options: Omit<StageOptions, 'directory'> = {
      machines: 1,
      speed: 40,
      imageBytes: 2 ** 20,
      eraseGrade: 'full',
      launch: launchLocally,
      upstream: {
        reach: async (root) => {
          proxy = await FaultProxy.start(new URL(root).origin);
          return `${proxy.root}/MAAS`;
        },
        settings: { retryDelay: '20ms' },
      },
    };
    stage = await Stage.start({ ...options, directory });
    await stage.serve();
    await stage.furnish();
  });

  after(async () => {
    const { violations } = stage.floor.oracle;
    await stage.stop();
    await proxy?.stop();
    rmSync(directory, { recursive: true, force: true });
    assert.deepEqual(violations, []);
  });

  const row = () => stage.floor.table()[0]!;
  const ports = () => row().ports.map((port) => [port.native, port.tagged, port.up]);
  const machine = async () =>
    (await stage.admin.call('GET', '/machines/server-1'))['machine'] as Json & { readonly state: string };
  const calls = (op: string) =>
    proxy!.seen.filter((line) => line.startsWith('POST') && line.endsWith(`op=${op}`));

  async function send(command: LabCommand): Promise<void> {
    const [answer] = await stage.cloud.send(await stage.host('server-1'), [command], { timeout: 120_000 });
    assert.equal(answer!.result, true, answer!.details ?? '');
  }

  async function erased(): Promise<void> {
    await until(async () => (await machine()).state === 'ready', 'the machine ready again', 90_000);
    assert.deepEqual([row().power, row().disks[0]!.image, row().disks[0]!.residue], ['off', null, null]);
  }

  it('was commissioned by MAAS, and its inventory is the machine’s', async () => {
    const { nics } = stage.floor.machines[0]!.machine;
    const { state, engine, disks, nics: known } = await machine();
    assert.deepEqual([state, engine], ['ready', 'maas']);
    assert.deepEqual(
      (known as Json[]).map(({ mac }) => mac),
      nics.map(({ mac }) => mac),
    );
    assert.equal((disks as Json[]).length, stage.floor.machines[0]!.machine.disks.length);
    const nowhere = {
      hostname: 'server-9',
      macs: ['52:54:00:09:09:09'],
      bmc: { host: '127.0.0.9', username: 'u', password: 'p' },
      engine: 'maas:nowhere',
    };
    await assert.rejects(stage.admin.call('POST', '/machines', nowhere), /no deploy engine "maas:nowhere"/);
  });

  it('runs in the tenant’s networks with CloudStack’s MACs, and is erased by MAAS', async () => {
    const instance = stage.instance('i-9-1-VM', [200]);
    await send(startCommand(instance));
    await until(() => row().leases.length > 0, 'a lease');
    assert.deepEqual(
      row().leases.map(({ mac, vlan }) => [mac, vlan]),
      [[instance.nics![0]!.mac, 200]],
    );
    assert.deepEqual(ports(), [
      [200, [], true],
      [200, [], true],
    ]);
    const { machines } = await stage.upstream.admin.call('GET', '/machines');
    assert.deepEqual(
      (machines as Json[]).map(({ hostname, state }) => [hostname, state]),
      [[instance.hostName, 'deployed']],
      'MAAS shows the instance by its name',
    );
    await send(destroyCommand(instance));
    await erased();
  });

  it('is installed and erased once, whatever becomes of the calls, and over a restart in the middle', async () => {
    const deploys = calls('deploy').length;
    const releases = calls('release').length;
    proxy!.spoil(/op=allocate/, busy, { kind: 'cut-after' });
    proxy!.spoil(/op=set_owner_data/, page);
    proxy!.spoil(/op=create_bond/, { kind: 'cut-after' });
    proxy!.spoil(/op=deploy/, { kind: 'cut-after' });
    proxy!.spoil(/^GET .*machines\/[a-z0-9]{6}\/$/, page, { kind: 'cut-before' });
    const instance = stage.instance('i-9-2-VM');
    const started = stage.cloud.send(await stage.host('server-1'), [startCommand(instance)], {
      timeout: 120_000,
    });
    started.catch(() => undefined);
    await until(() => calls('deploy').length > deploys, 'the deploy', 60_000);
    await stage.service.stop();
    await stage.serve();
    await until(async () => (await machine()).state === 'deployed', 'deployed after the restart', 90_000);
    await until(() => row().leases.some(({ mac }) => mac === instance.nics![0]!.mac), 'a lease');
    assert.equal(calls('deploy').length, deploys + 1);

    proxy!.spoil(/op=release/, { kind: 'cut-after' });
    await send(destroyCommand(instance));
    await erased();
    assert.equal(calls('release').length, releases + 1);
    assert.equal(proxy!.left, 0, 'each fault met its call');
  });
});
