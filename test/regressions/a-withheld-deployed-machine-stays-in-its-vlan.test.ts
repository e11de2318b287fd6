import assert from 'node:assert/strict';
import { freeMachine, userClaim, userDeployment } from '../api/maas/machine-samples.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { machineId } from '../store/samples.ts';
import type { MaasInterface } from '../support/maas-client.ts';

// A deployed machine in quarantine is told as Broken, and the interfaces of a broken machine may be changed: it was said to be in another VLAN
// than it was in, and to have interfaces that it had not.
it('interfaces of a deployed machine that is withheld are not said to be other than they are', async function () {
  this.timeout(30_000);
  const maas = new MaasService();
  try {
    await maas.start();
    const quarantine = { code: 'port.drift', reason: 'te1/1 drifts', fenced: false, since: 1 };
    await maas.admin.storage.run(async (tx) => {
      await tx.machines.insert(freeMachine(1, { state: 'deployed', quarantine }));
      await tx.claims.insert(userClaim(1, 'admin'));
      await tx.deployments.insert(userDeployment(1, 'admin'));
    });
    const path = `nodes/${machineId(1)}/interfaces/`;
    const [nic] = (await maas.get(path)).json as readonly MaasInterface[];
    const made = await maas.post(`fabrics/${nic!.vlan!.fabric_id}/vlans/`, { vid: '200' });
    const other = String((made.json as { readonly id: number }).id);
    const put = (fields: Readonly<Record<string, string>>) =>
      maas.call('PUT', `${path}${nic!.id}/`, { form: Object.entries(fields) });
    for (const answer of [
      await put({ vlan: other }),
      await maas.post(`${path}?op=create_vlan`, { parent: String(nic!.id), vlan: other }),
      await maas.call('DELETE', `${path}${nic!.id}/`),
    ])
      assert.equal(answer.status, 409, answer.text);
    assert.equal((await put({ name: 'lan0' })).status, 200);
  } finally {
    await maas.dispose();
  }
});
