import assert from 'node:assert/strict';
import { emptyProfile } from '../../src/core/machine/profile.ts';
import { freeMachine, userClaim } from '../api/maas/machine-samples.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { machineId } from '../store/samples.ts';

// Of several machines, those before a locked one were released, and the client was told that none could be.
it('a locked machine among others keeps all of them from being released', async function () {
  this.timeout(30_000);
  const maas = new MaasService();
  try {
    await maas.start();
    await maas.admin.storage.run(async (tx) => {
      for (const n of [1, 2]) {
        await tx.machines.insert(freeMachine(n));
        await tx.claims.insert(userClaim(n, 'admin'));
      }
      await tx.profiles.save({ ...emptyProfile(machineId(2)), locked: true });
    });
    const machines = [machineId(1), machineId(2)];
    const refused = await maas.post('machines/?op=release', { machines });
    assert.equal(refused.status, 409, refused.text);
    assert.match(refused.text, new RegExp(`: ${machineId(2)} \\('Allocated', locked\\)\\.$`));
    const list = (await maas.get('machines/')).json as readonly { readonly owner: string | null }[];
    assert.deepEqual(
      list.map(({ owner }) => owner),
      ['admin', 'admin'],
    );
  } finally {
    await maas.dispose();
  }
});
