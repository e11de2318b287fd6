import assert from 'node:assert/strict';
import type { OAuthKey } from '../../../src/wire/oauth/api-key.ts';
import { machineId, mac } from '../../store/samples.ts';
import type { MaasInterface } from '../../support/maas-client.ts';
import { freeMachine, userClaim, userDeployment } from './machine-samples.ts';
import { MaasService, type MaasAnswer } from './maas-service.ts';

describe('MAAS API: interfaces of machines', function () {
  this.timeout(60_000);
  const maas = new MaasService();
  let anna: OAuthKey;
  let tagged = 0;
  let subnet = 0;
  let tenant = 0;

  /** 1 ready; 2 held by anna; 3 deployed by anna; 4 being deployed. */
  before(async () => {
    await maas.start();
    anna = await maas.newUser('anna');
    await maas.admin.storage.run(async (tx) => {
      await tx.machines.insert(freeMachine(1));
      await tx.machines.insert(freeMachine(2));
      await tx.machines.insert(freeMachine(3, { state: 'deployed' }));
      await tx.machines.insert(freeMachine(4, { state: 'deploying' }));
      await tx.claims.insert(userClaim(2, 'anna'));
      await tx.claims.insert(userClaim(3, 'anna'));
      await tx.deployments.insert(userDeployment(3, 'anna'));
    });
    const [nic] = await list(1);
    subnet = nic!.links[0]!.subnet!.id;
    const made = await maas.post(`fabrics/${nic!.vlan!.fabric_id}/vlans/`, { vid: '200', name: 'red' });
    tagged = (made.json as { readonly id: number }).id;
    const cidr = { cidr: '10.1.200.0/24', vlan: String(tagged), gateway_ip: '10.1.200.1' };
    tenant = ((await maas.post('subnets/', cidr)).json as { readonly id: number }).id;
  });
  after(() => maas.dispose());

  const at = (n: number, rest = ''): string => `nodes/${machineId(n)}/interfaces/${rest}`;
  async function list(n: number): Promise<readonly MaasInterface[]> {
    return (await maas.get(at(n))).json as readonly MaasInterface[];
  }
  function ok(answer: MaasAnswer): MaasInterface {
    assert.equal(answer.status, 200, answer.text);
    return answer.json as MaasInterface;
  }
  const told = ({ status, text }: MaasAnswer): readonly [number, string] => [status, text];

  it('are the NICs, until somebody says otherwise; found by number and name', async () => {
    const nics = await list(1);
    assert.deepEqual(
      nics.map(({ id, name, type, mac_address, links }) => [id, name, type, mac_address, links[0]!.mode]),
      [
        [1, 'eno1', 'physical', mac(1, 0), 'auto'],
        [2, 'eno2', 'physical', mac(1, 1), 'link_up'],
      ],
    );
    assert.deepEqual((await maas.get(at(1, 'eno2/'))).json, nics[1]);
    assert.deepEqual((await maas.get(at(1, '2/'))).json, nics[1]);
    assert.deepEqual(told(await maas.get(at(1, '9/'))), [404, 'No Interface matches the given query.']);
  });

  it('are bonded, linked and given CloudStack’s MAC as its plugin does it, by the user who holds the machine', async () => {
    const key = anna;
    const fields = { name: 'bond0', parents: ['1', '2'], system_id: machineId(2) };
    const bond = ok(await maas.post(at(2, '?op=create_bond'), fields, { key }));
    assert.deepEqual([bond.type, bond.parents, bond.mac_address], ['bond', ['eno1', 'eno2'], mac(2, 0)]);
    assert.equal(bond.links.length, 1);
    const path = at(2, `${bond.id}/`);
    const link = String(bond.links[0]!.id);
    assert.equal(ok(await maas.post(`${path}?op=unlink_subnet`, { id: link }, { key })).links.length, 1);
    const wanted = { mode: 'DHCP', subnet: String(subnet), force: 'True' };
    const linked = ok(await maas.post(`${path}?op=link_subnet`, wanted, { key }));
    assert.deepEqual(
      linked.links.map(({ mode, subnet: to }) => [mode, to?.id]),
      [['dhcp', subnet]],
    );
    const mac_address = '02:00:4C:AA:00:01';
    const put = await maas.call('PUT', path, { key, form: [['mac_address', mac_address]] });
    assert.equal(ok(put).mac_address, mac_address);
    const vlan = ok(
      await maas.post(at(2, '?op=create_vlan'), { parent: String(bond.id), vlan: String(tagged) }, { key }),
    );
    assert.deepEqual([vlan.name, vlan.vlan!.vid, vlan.parents], ['bond0.200', 200, ['bond0']]);

    const machine = (await maas.get(`machines/${machineId(2)}/`)).json as {
      readonly interface_set: readonly MaasInterface[];
      readonly boot_interface: MaasInterface;
    };
    assert.deepEqual(
      machine.interface_set.map(({ name, children }) => [name, children]),
      [
        ['eno1', ['bond0']],
        ['eno2', ['bond0']],
        ['bond0', ['bond0.200']],
        ['bond0.200', []],
      ],
    );
    assert.equal(machine.boot_interface.name, 'eno1');

    assert.equal((await maas.call('DELETE', path, { key })).status, 204);
    assert.deepEqual(
      (await list(2)).map(({ name }) => name),
      ['eno1', 'eno2'],
    );
    const next = ok(await maas.post(at(2, '?op=create_bond'), fields, { key }));
    assert.ok(next.id > vlan.id, 'numbers are never given twice');

    const released = await maas.post(`machines/${machineId(2)}/?op=release`, {}, { key });
    assert.equal(released.status, 200, released.text);
    assert.deepEqual(
      (await list(2)).map(({ name }) => name),
      ['eno1', 'eno2'],
      'gone with the claim',
    );
  });

  it('take fixed addresses and the default gateway', async () => {
    const path = at(1, '1/');
    const fixed = {
      mode: 'STATIC',
      subnet: String(tenant),
      ip_address: '10.1.200.7',
      force: 'true',
      default_gateway: 'true',
    };
    const linked = ok(await maas.post(`${path}?op=link_subnet`, fixed));
    assert.equal(linked.vlan!.vid, 200);
    const machine = (await maas.get(`machines/${machineId(1)}/`)).json as Readonly<Record<string, unknown>>;
    assert.deepEqual(machine['ip_addresses'], ['10.1.200.7']);
    assert.deepEqual(machine['default_gateways'], {
      ipv4: { gateway_ip: '10.1.200.1', link_id: linked.links[0]!.id },
      ipv6: { gateway_ip: null, link_id: null },
    });
    const cleared = await maas.post(`machines/${machineId(1)}/?op=clear_default_gateways`);
    assert.deepEqual((cleared.json as { default_gateways: { ipv4: object } }).default_gateways.ipv4, {
      gateway_ip: null,
      link_id: null,
    });
    ok(await maas.post(`${path}?op=set_default_gateway`));
    assert.deepEqual(ok(await maas.post(`${path}?op=add_tag`, { tag: 'fast' }))['tags'], ['fast']);
    assert.deepEqual(ok(await maas.post(`${path}?op=remove_tag`, { tag: 'fast' }))['tags'], []);
    const cut = ok(await maas.post(`${path}?op=disconnect`));
    assert.deepEqual([cut.links, cut.vlan], [[], null]);
    const restored = await maas.post(`machines/${machineId(1)}/?op=restore_networking_configuration`);
    assert.equal(restored.status, 200, restored.text);
    assert.equal((await list(1))[0]!.links[0]!.mode, 'auto');
  });

  it('are refused in the words of MAAS', async () => {
    const bond = { name: 'b', parents: ['1'] };
    const state = 'because the machine is not New, Ready, Allocated, or Broken.';
    for (const [answer, wanted] of [
      [await maas.post(at(4, '?op=create_bond'), bond), [409, `Cannot create bond interface ${state}`]],
      [await maas.post(at(3, '?op=create_bond'), bond), [409, `Cannot create bond interface ${state}`]],
      [await maas.post(at(1, '1/?op=link_subnet'), {}), [400, '{"mode":["This field is required."]}']],
      [
        await maas.post(at(1, '1/?op=link_subnet'), { mode: 'DHCP', default_gateway: '1' }),
        [400, '{"default_gateway":["Cannot use in mode \'DHCP\'."]}'],
      ],
      [
        await maas.post(at(1, '1/?op=unlink_subnet'), { id: '77' }),
        [400, '{"id":["\'77\' is not a valid id.  It should be one of: \'1\'."]}'],
      ],
      [await maas.post(at(1, '1/?op=add_tag'), {}), [400, 'No provided tag!']],
      [
        await maas.post(at(1, '?op=create_physical'), {}),
        [400, '{"mac_address":["This field is required."]}'],
      ],
      [
        await maas.post(at(1, '?op=create_physical'), { mac_address: mac(2, 0).toUpperCase() }),
        [400, '{"mac_address":["This MAC address is already in use by node-2."]}'],
      ],
      [
        await maas.post(at(1, '?op=create_bond'), { name: 'b', parents: ['x'] }),
        [400, '{"parents":["\'x\' is not a valid value for a primary key."]}'],
      ],
      [await maas.post(at(1, '?op=create_bond'), bond, { key: anna }), [409, null]],
    ] as const) {
      assert.equal(answer.status, wanted[0], answer.text);
      if (wanted[1] !== null) assert.equal(answer.text, wanted[1]);
    }
    // What is deployed may still be described better.
    ok(await maas.call('PUT', at(3, '1/'), { form: [['tags', 'a,b']] }));
  });
});
