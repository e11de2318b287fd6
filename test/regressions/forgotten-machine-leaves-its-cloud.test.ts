import assert from 'node:assert/strict';
import { localStage } from '../support/local-stage.ts';
import { until } from '../support/until.ts';

// `machine rm` left the link to the management server open, which went on reporting a host that was not there any more.
it('a machine that is forgotten disconnects from its CloudStack in order', async function () {
  this.timeout(30_000);
  const { stage, close } = await localStage();
  try {
    const id = await stage.host('server-1');
    await stage.admin.call('DELETE', '/machines/server-1');
    await until(
      () => stage.cloud.hosts().some((host) => host.hostId === id && host.state === 'Disconnected'),
      'the goodbye',
    );
    assert.deepEqual(stage.cloud.anomalies, []);
  } finally {
    await close();
  }
});
