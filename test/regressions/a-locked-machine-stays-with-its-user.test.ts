import assert from 'node:assert/strict';
import { freeMachine, userClaim, userDeployment } from '../api/maas/machine-samples.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { machineId } from '../store/samples.ts';

// `op=mark_broken` took a locked machine away and erased it, which `op=release` and DELETE refuse.
it('a locked machine is not taken from its user by marking it broken', async function () {
  this.timeout(30_000);
  const maas = new MaasService();
  try {
    await maas.start();
    const anna = await maas.newUser('anna');
    await maas.admin.storage.run(async (tx) => {
      await tx.machines.insert(freeMachine(1, { state: 'deployed' }));
      await tx.claims.insert(userClaim(1, 'anna'));
      await tx.deployments.insert(userDeployment(1, 'anna'));
    });
    const path = `machines/${machineId(1)}/`;
    assert.equal((await maas.post(`${path}?op=lock`, {}, { key: anna })).status, 200);
    for (const key of [anna, maas.key]) {
      const { status, text } = await maas.post(`${path}?op=mark_broken`, { comment: 'fan' }, { key });
      assert.equal(status, 409, text);
      assert.match(text, /is locked/);
    }
    const { json } = await maas.get(path);
    const { status_name: status, owner } = json as { status_name: string; owner: string };
    assert.deepEqual([status, owner], ['Deployed', 'anna']);
  } finally {
    await maas.dispose();
  }
});
