import assert from 'node:assert/strict';
import { freeMachine } from '../api/maas/machine-samples.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { machineId } from '../store/samples.ts';

// `bridge_all` was taken and forgotten: a host whose user counted on its bridges was deployed without any.
it('who asks for a bridge on every interface is told that none is made', async function () {
  this.timeout(30_000);
  const maas = new MaasService();
  try {
    await maas.start();
    await maas.admin.storage.run((tx) => tx.machines.insert(freeMachine(1)));
    for (const path of ['machines/?op=allocate', `machines/${machineId(1)}/?op=deploy`]) {
      const refused = await maas.post(path, { bridge_all: 'true' });
      assert.equal(refused.status, 400, refused.text);
      assert.ok(Object.hasOwn(refused.json as object, 'bridge_all'), refused.text);
    }
    const { owner } = (await maas.get(`machines/${machineId(1)}/`)).json as { readonly owner: unknown };
    assert.equal(owner, null);
    assert.equal((await maas.post('machines/?op=allocate', { bridge_all: 'false' })).status, 200);
  } finally {
    await maas.dispose();
  }
});
