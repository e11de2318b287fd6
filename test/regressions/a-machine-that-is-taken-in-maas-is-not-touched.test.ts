import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Stage } from '../../lab/demo/stage.ts';
import { startCommand } from '../../lab/management-server/commands.ts';
import { launchLocally } from '../support/local-service.ts';
import { MaasClient } from '../support/maas-client.ts';
import { until } from '../support/until.ts';

// They found out when they placed their order: they had switched the other one's machine off by then, and moved its ports.
it('a Start, and a commissioning, leave a machine alone that somebody has taken in the upstream MAAS', async function () {
  this.timeout(180_000);
  const directory = mkdtempSync(path.join(tmpdir(), 'csbm-taken-'));
  const stage = await Stage.start({
    ...{ machines: 1, speed: 40, imageBytes: 2 ** 20, launch: launchLocally, directory },
    upstream: { settings: { retryDelay: '20ms' } },
  });
  try {
    await stage.serve();
    await stage.furnish();
    const { upstream } = stage;
    await upstream.admin.call('POST', '/principals', { name: 'bob', role: 'user' });
    const { key } = await upstream.admin.call('POST', '/api-keys', { name: 'bobs', principal: 'bob' });
    const bob = new MaasClient(upstream.root, key as string);
    const { json, text } = await bob.post('machines/?op=allocate');
    assert.equal(json.status_name, 'Allocated', text);
    const deploying = await bob.post(`machines/${json.system_id}/?op=deploy`, {
      distro_series: 'custom/lab-linux',
    });
    assert.equal(deploying.status, 200, deploying.text);
    const { machine } = stage.floor.machines[0]!;
    await until(() => machine.phase === 'os', 'the system that bob has installed', 60_000);
    const row = () => stage.floor.table()[0]!;
    const before = row().ports;

    const [answer] = await stage.cloud.send(
      await stage.host('server-1'),
      [startCommand(stage.instance('i-9-1-VM', [200]))],
      { timeout: 120_000 },
    );
    assert.equal(answer!.result, false);
    assert.match(answer!.details ?? '', /Deploy(ed|ing), owner bob.*maas\.machine-taken/s);
    assert.equal(machine.phase, 'os');
    assert.deepEqual(row().ports, before);

    const { operation } = await stage.admin.call('POST', '/machines/server-1/commission', {});
    const ended = await stage.admin.follow((operation as { readonly id: string }).id);
    assert.match(JSON.stringify(ended['error']), /maas\.machine-taken/);
    assert.equal(machine.phase, 'os');
    assert.deepEqual(row().ports, before);
  } finally {
    await stage.stop();
    rmSync(directory, { recursive: true, force: true });
  }
});
