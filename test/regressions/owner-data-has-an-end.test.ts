import assert from 'node:assert/strict';
import { freeMachine, userClaim } from '../api/maas/machine-samples.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { machineId } from '../store/samples.ts';

// A user could keep as much as it liked with a machine, some megabytes more with each call, and every list of machines told it all.
it('owner data is refused where it would become too much, and stays what it was', async function () {
  this.timeout(30_000);
  const maas = new MaasService();
  try {
    await maas.start();
    await maas.admin.storage.run(async (tx) => {
      await tx.machines.insert(freeMachine(1));
      await tx.claims.insert(userClaim(1, 'admin'));
    });
    const path = `machines/${machineId(1)}/`;
    const keep = (fields: Readonly<Record<string, string>>) => maas.post(`${path}?op=set_owner_data`, fields);
    const half = 'x'.repeat(40_000);
    const kept = await keep({ a: half, ['__proto__']: 'b' });
    assert.equal(kept.status, 200, kept.text.slice(0, 200));
    const refused = await keep({ c: half });
    assert.equal(refused.status, 400, refused.text.slice(0, 200));
    assert.equal((await keep({ a: 'x' })).status, 200, 'what is less may be kept');
    const data = ((await maas.get(path)).json as { readonly owner_data: object }).owner_data;
    assert.deepEqual(Object.keys(data).sort(), ['__proto__', 'a']);
  } finally {
    await maas.dispose();
  }
});
