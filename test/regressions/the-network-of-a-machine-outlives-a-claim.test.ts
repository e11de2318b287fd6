import assert from 'node:assert/strict';
import { freeMachine } from '../api/maas/machine-samples.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { mac, machineId } from '../store/samples.ts';
import type { MaasInterface } from '../support/maas-client.ts';

// An administrator's bond was gone with the claim of the first user who changed anything about the interfaces, a tag or a link, and the next
// machine was deployed on one NIC; a default gateway that a user had chosen stayed for the next one.
it('a machine gets back the network that it had before a claim changed it', async function () {
  this.timeout(30_000);
  const maas = new MaasService();
  try {
    await maas.start();
    const key = await maas.newUser('anna');
    const base = freeMachine(1);
    const nics = [1, 2].map((n) => ({ ...base.nics[0]!, mac: mac(10 + n), name: `eno${n}` }));
    await maas.admin.storage.run((tx) => tx.machines.insert({ ...base, nics }));
    const path = `nodes/${machineId(1)}/interfaces/`;
    const { vlan } = ((await maas.get(path)).json as readonly MaasInterface[])[0]!;
    const subnet = async (cidr: string, gateway: string): Promise<string> => {
      const made = await maas.post('subnets/', { cidr, gateway_ip: gateway, vlan: String(vlan!.id) });
      assert.equal(made.status, 200, made.text);
      return String((made.json as { readonly id: number }).id);
    };
    const [own, other] = [await subnet('10.1.1.0/24', '10.1.1.1'), await subnet('10.1.2.0/24', '10.1.2.1')];
    const ok = async (answer: Promise<{ readonly status: number; readonly text: string }>): Promise<void> => {
      const { status, text } = await answer;
      assert.ok(status === 200 || status === 204, text);
    };
    const link = { mode: 'STATIC', default_gateway: 'true' };
    await ok(maas.post(`${path}?op=create_bond`, { name: 'bond0', parents: ['1', '2'] }));
    await ok(maas.post(`${path}bond0/?op=link_subnet`, { ...link, subnet: own, ip_address: '10.1.1.5' }));
    const look = async () => {
      const { json } = await maas.get(`machines/${machineId(1)}/`);
      const { interface_set: interfaces, default_gateways: gateways } = json as {
        readonly interface_set: readonly MaasInterface[];
        readonly default_gateways: object;
      };
      return { interfaces, gateways };
    };
    const before = await look();
    assert.equal(before.interfaces.length, 3);

    await ok(maas.post('machines/?op=allocate', {}, { key }));
    await ok(
      maas.post(`${path}bond0/?op=link_subnet`, { ...link, subnet: other, ip_address: '10.1.2.5' }, { key }),
    );
    await ok(maas.post(`${path}bond0/?op=add_tag`, { tag: 'fast' }, { key }));
    assert.notDeepEqual(await look(), before);
    const taken = await maas.post('ipaddresses/?op=reserve', { ip: '10.1.1.5' });
    assert.equal(taken.status, 404, 'the address that the machine gets back is nobody else’s meanwhile');
    await ok(maas.call('DELETE', `${path}bond0/`, { key }));
    const used = await maas.call('DELETE', `subnets/${own}/`);
    assert.equal(used.status, 400, 'nor is its subnet deleted');

    await ok(maas.post(`machines/${machineId(1)}/?op=release`, {}, { key }));
    assert.deepEqual(await look(), before);
  } finally {
    await maas.dispose();
  }
});
