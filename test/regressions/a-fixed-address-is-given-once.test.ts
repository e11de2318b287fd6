import assert from 'node:assert/strict';
import { freeMachine } from '../api/maas/machine-samples.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { machineId } from '../store/samples.ts';
import type { MaasInterface } from '../support/maas-client.ts';

// Two machines could be given one address, or one that a user had reserved: each would have taken the other's answers.
describe('fixed addresses of interfaces', function () {
  this.timeout(30_000);
  const maas = new MaasService();
  let subnet = '';
  before(async () => {
    await maas.start();
    await maas.newUser('anna');
    await maas.admin.storage.run(async (tx) => {
      await tx.machines.insert(freeMachine(1));
      await tx.machines.insert(freeMachine(2));
    });
    const interfaces = await maas.get(`nodes/${machineId(1)}/interfaces/`);
    const [nic] = interfaces.json as readonly MaasInterface[];
    const vlan = await maas.post(`fabrics/${nic!.vlan!.fabric_id}/vlans/`, { vid: '200' });
    const cidr = {
      cidr: '10.1.200.0/29',
      vlan: String((vlan.json as { id: number }).id),
      gateway_ip: '10.1.200.1',
    };
    subnet = String(((await maas.post('subnets/', cidr)).json as { id: number }).id);
  });
  after(() => maas.dispose());

  const link = async (n: number, ip: string): Promise<readonly [number, unknown]> => {
    const { status, json, text } = await maas.post(`nodes/${machineId(n)}/interfaces/1/?op=link_subnet`, {
      mode: 'STATIC',
      subnet,
      force: 'true',
      ip_address: ip,
    });
    if (status !== 200) return [status, text];
    const { links } = json as { readonly links: readonly { readonly ip_address?: string }[] };
    return [status, links.map(({ ip_address: address }) => address)];
  };

  it('are not given to a second machine, nor what somebody has reserved', async () => {
    const inUse = [400, '{"ip_address":["IP address is already in use."]}'];
    assert.deepEqual(await link(1, '10.1.200.2'), [200, ['10.1.200.2']]);
    assert.deepEqual(await link(2, '10.1.200.2'), inUse);
    const key = await maas.newKey('anna');
    assert.equal(
      (await maas.post('ipaddresses/?op=reserve', { subnet, ip: '10.1.200.3' }, { key })).status,
      200,
    );
    assert.deepEqual(await link(2, '10.1.200.3'), inUse);
  });
});
