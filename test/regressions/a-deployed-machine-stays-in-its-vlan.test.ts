import assert from 'node:assert/strict';
import type { Machine } from '../../src/core/machine/machine.ts';
import { freeMachine, userClaim, userDeployment } from '../api/maas/machine-samples.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { machineId } from '../store/samples.ts';
import type { MaasInterface } from '../support/maas-client.ts';

describe('the interfaces of a deployed machine', function () {
  this.timeout(30_000);
  let maas: MaasService;
  const path = `nodes/${machineId(1)}/interfaces/`;

  beforeEach(() => (maas = new MaasService()).start());
  afterEach(() => maas.dispose());

  /** A machine that is deployed, with its first NIC and the number of a VLAN that it is not in. */
  async function deployed(more: Partial<Machine> = {}): Promise<{ nic: MaasInterface; other: string }> {
    await maas.admin.storage.run(async (tx) => {
      await tx.machines.insert(freeMachine(1, { state: 'deployed', ...more }));
      await tx.claims.insert(userClaim(1, 'admin'));
      await tx.deployments.insert(userDeployment(1, 'admin'));
    });
    const [nic] = (await maas.get(path)).json as readonly MaasInterface[];
    const made = await maas.post(`fabrics/${nic!.vlan!.fabric_id}/vlans/`, { vid: '200' });
    return { nic: nic!, other: String((made.json as { readonly id: number }).id) };
  }

  const put = ({ id }: MaasInterface, fields: Readonly<Record<string, string>>) =>
    maas.call('PUT', `${path}${id}/`, { form: Object.entries(fields) });

  // The ports of a deployed machine stay as they were deployed; but a PUT of its interface said another VLAN from then on, and the one that the
  // machine was really in could be deleted.
  it('are not said to be in another VLAN', async () => {
    const { nic, other } = await deployed();
    const refused = await put(nic, { vlan: other });
    assert.equal(refused.status, 409, refused.text);
    const same = await put(nic, { name: 'lan0', vlan: String(nic.vlan!.id) });
    assert.equal(same.status, 200, same.text);
    const { name, vlan } = (await maas.get(`${path}${nic.id}/`)).json as MaasInterface;
    assert.deepEqual([name, vlan!.id], ['lan0', nic.vlan!.id]);
  });

  // A deployed machine in quarantine is told as Broken, and the interfaces of a broken machine may be changed: it was said to be in another VLAN
  // than it was in, and to have interfaces that it had not.
  it('are not said to be other than they are while it is withheld', async () => {
    const quarantine = { code: 'port.drift', reason: 'te1/1 drifts', fenced: false, since: 1 };
    const { nic, other } = await deployed({ quarantine });
    for (const answer of [
      await put(nic, { vlan: other }),
      await maas.post(`${path}?op=create_vlan`, { parent: String(nic.id), vlan: other }),
      await maas.call('DELETE', `${path}${nic.id}/`),
    ])
      assert.equal(answer.status, 409, answer.text);
    assert.equal((await put(nic, { name: 'lan0' })).status, 200);
  });
});
