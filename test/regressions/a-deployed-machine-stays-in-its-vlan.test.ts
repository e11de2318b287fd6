import assert from 'node:assert/strict';
import { freeMachine, userClaim, userDeployment } from '../api/maas/machine-samples.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { machineId } from '../store/samples.ts';
import type { MaasInterface } from '../support/maas-client.ts';

// The ports of a deployed machine stay as they were deployed; but a PUT of its interface said another VLAN from then on, and the one that the
// machine was really in could be deleted.
it('interfaces of a deployed machine are not said to be in another VLAN', async function () {
  this.timeout(30_000);
  const maas = new MaasService();
  try {
    await maas.start();
    await maas.admin.storage.run(async (tx) => {
      await tx.machines.insert(freeMachine(1, { state: 'deployed' }));
      await tx.claims.insert(userClaim(1, 'admin'));
      await tx.deployments.insert(userDeployment(1, 'admin'));
    });
    const path = `nodes/${machineId(1)}/interfaces/`;
    const [nic] = (await maas.get(path)).json as readonly MaasInterface[];
    const made = await maas.post(`fabrics/${nic!.vlan!.fabric_id}/vlans/`, { vid: '200' });
    const other = String((made.json as { readonly id: number }).id);
    const put = (fields: Readonly<Record<string, string>>) =>
      maas.call('PUT', `${path}${nic!.id}/`, { form: Object.entries(fields) });
    const refused = await put({ vlan: other });
    assert.equal(refused.status, 409, refused.text);
    const same = await put({ name: 'lan0', vlan: String(nic!.vlan!.id) });
    assert.equal(same.status, 200, same.text);
    const { name, vlan } = (await maas.get(`${path}${nic!.id}/`)).json as MaasInterface;
    assert.deepEqual([name, vlan!.id], ['lan0', nic!.vlan!.id]);
  } finally {
    await maas.dispose();
  }
});
