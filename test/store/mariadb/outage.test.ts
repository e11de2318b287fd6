import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { destroyCommand, startCommand } from '../../../lab/management-server/commands.ts';
import { localStage } from '../../support/local-stage.ts';
import { MariadbServer } from '../../support/mariadb-server.ts';
import { requirePeer } from '../../support/peers.ts';
import { until } from '../../support/until.ts';

describe('a service whose MariaDB goes away', function () {
  this.timeout(120_000);
  let server: MariadbServer | null = null;
  let close: (() => Promise<void>) | null = null;

  before(async function () {
    requirePeer(this, 'mariadbd');
    server = await MariadbServer.start();
    await server.ask('CREATE DATABASE csbm');
  });
  after(async () => {
    await close?.();
    await server?.stop();
  });

  it('ends the Start that was under way, and goes on with everything, once it is back', async () => {
    const opened = await localStage({
      pingInterval: 3_600,
      env: {
        CSBM_STORE_TYPE: 'mariadb',
        CSBM_STORE_MARIADB_SOCKET: server!.socket,
        CSBM_STORE_MARIADB_DATABASE: 'csbm',
        CSBM_STORE_MARIADB_USER: 'root',
        // Short, so that everything meets an outage that it cannot sit out.
        CSBM_STORE_MARIADB_PATIENCE: '100ms',
      },
    });
    close = opened.close;
    const { stage } = opened;
    const host = await stage.host('server-1');
    const { machine } = stage.floor.find('server-1');
    let installs = 0;
    machine.events.on('installing', () => (installs += 1));
    const instance = stage.instance('i-2-1-VM');

    const first = stage.cloud.send(host, [startCommand(instance)], { timeout: 90_000 });
    await until(() => installs > 0, 'the install to begin');
    await server!.end('SIGKILL');
    await until(
      () =>
        /heartbeat failed|store\.unavailable|does not answer/.test(readFileSync(stage.serviceLog, 'utf8')),
      'somebody to meet the outage',
    );
    await server!.begin();

    // What met the outage where it cannot wait ends the Start, which is undone, and the disks are erased; else it goes on.
    let [answer] = await first;
    const ended = answer?.result === false;
    if (ended) {
      assert.match(answer?.details ?? '', /store\.unavailable/);
      await until(async () => {
        const { machine: told } = await stage.admin.call('GET', '/machines/server-1');
        return (told as { readonly state: string }).state === 'ready';
      }, 'the machine to be ready again');
      [answer] = await stage.cloud.send(host, [startCommand(instance)], { timeout: 90_000 });
    }
    assert.equal(answer?.result, true, answer?.details ?? '');
    await until(() => stage.floor.table()[0]!.leases.length > 0, 'the tenant on the network');
    assert.equal(installs, ended ? 2 : 1);

    // What works in the background is alive too.
    machine.losePower();
    await until(
      () =>
        stage.cloud
          .pings(host)
          .some(({ outOfBand, report }) => outOfBand && report?.get(instance.name) === 'PowerOff'),
      'the power to be read',
    );
    const [destroyed] = await stage.cloud.send(host, [destroyCommand(instance)], { timeout: 60_000 });
    assert.equal(destroyed?.result, true, destroyed?.details ?? '');
    assert.deepEqual(stage.floor.oracle.violations, []);
  });
});
