import assert from 'node:assert/strict';
import { freeMachine } from '../api/maas/machine-samples.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { machineId } from '../store/samples.ts';
import type { MaasInterface } from '../support/maas-client.ts';

// A subnet was moved to another VLAN under the interfaces that were linked to it: machines were deployed into the VLAN that it had been in.
it('a subnet is not moved to another VLAN under the interfaces that are linked to it', async function () {
  this.timeout(30_000);
  const maas = new MaasService();
  try {
    await maas.start();
    await maas.admin.storage.run((tx) => tx.machines.insert(freeMachine(1)));
    const path = `nodes/${machineId(1)}/interfaces/1/`;
    const fabric = ((await maas.get(path)).json as MaasInterface).vlan!.fabric_id;
    const idOf = async (answer: Promise<{ readonly json: unknown; readonly text: string }>) => {
      const { json, text } = await answer;
      const { id } = json as { readonly id?: number };
      assert.ok(id, text);
      return String(id);
    };
    const [from, to] = [
      await idOf(maas.post(`fabrics/${fabric}/vlans/`, { vid: '200' })),
      await idOf(maas.post(`fabrics/${fabric}/vlans/`, { vid: '300' })),
    ];
    const subnet = await idOf(maas.post('subnets/', { cidr: '10.1.200.0/24', vlan: from }));
    const move = (vlan: string) => maas.call('PUT', `subnets/${subnet}/`, { form: [['vlan', vlan]] });
    assert.equal((await move(to)).status, 200, 'nothing is linked to it yet');
    assert.equal((await move(from)).status, 200);
    const linked = await maas.post(`${path}?op=link_subnet`, { mode: 'AUTO', subnet, force: 'true' });
    assert.equal(linked.status, 200, linked.text);
    const refused = await move(to);
    assert.equal(refused.status, 400, refused.text);
    assert.match(refused.text, new RegExp(machineId(1)));
    assert.equal((await move(from)).status, 200, 'it is there already');
  } finally {
    await maas.dispose();
  }
});
