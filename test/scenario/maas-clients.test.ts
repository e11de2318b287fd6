import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { redVlan, Stage } from '../../lab/demo/stage.ts';
import { makeLabImage } from '../../lab/machine/index.ts';
import { launchLocally } from '../support/local-service.ts';
import { MaasClient, type MaasInterface, type MaasMachine } from '../support/maas-client.ts';
import { until } from '../support/until.ts';

/** A machine's whole life through the MAAS API, as CloudStack's plugin and terraform lead it; judged by the floor. */
describe('a machine through the MAAS API', function () {
  this.timeout(120_000);
  const directory = mkdtempSync(path.join(tmpdir(), 'csbm-maas-'));
  let stage: Stage;
  let maas: MaasClient;

  before(async () => {
    stage = await Stage.start({
      machines: 1,
      speed: 40,
      imageBytes: 2 ** 20,
      eraseGrade: 'full',
      maas: {},
      launch: launchLocally,
      directory,
    });
    await stage.serve();
    await stage.admin.call('PUT', '/rack-config', stage.floor.rackConfig());
    const image = makeLabImage({ name: 'lab-linux', canBond: true, bytes: 2 ** 20 });
    await stage.admin.upload(
      '/images?name=lab-linux&canBond=true&firstBoot=nocloud&alias=ubuntu/jammy',
      gzipSync(image, { level: 1 }),
    );
    const { key } = await stage.admin.call('POST', '/api-keys', { name: 'scenario' });
    maas = new MaasClient(stage.maasRoot, key as string);
  });

  after(async () => {
    const { violations } = stage.floor.oracle;
    await stage.stop();
    rmSync(directory, { recursive: true, force: true });
    assert.deepEqual(violations, []);
  });

  async function status(id: string, wanted: string): Promise<MaasMachine> {
    const seen: string[] = [];
    let machine: MaasMachine | null = null;
    await until(
      async () => {
        ({ json: machine } = await maas.get(`machines/${id}/`));
        if (seen.at(-1) !== machine.status_name) seen.push(machine.status_name);
        return machine.status_name === wanted;
      },
      `${wanted}; seen: ${seen.join(', ')}`,
      60_000,
    );
    return machine!;
  }

  async function ok(
    answer: Promise<{ status: number; text: string; json: MaasMachine }>,
  ): Promise<MaasMachine> {
    const { status: code, text, json } = await answer;
    assert.equal(code, 200, text);
    return json;
  }

  it('is enrolled, commissioned, bonded, linked, allocated, deployed, power-cycled and released', async () => {
    const { machine: server, bmcAddress } = stage.floor.machines[0]!;
    const created = await ok(
      maas.post('machines/?op=', {
        architecture: 'amd64',
        hostname: 'web-1',
        power_type: 'ipmi',
        power_parameters_power_address: `${bmcAddress.host}:${bmcAddress.port}`,
        power_parameters_power_user: stage.floor.username,
        power_parameters_power_pass: stage.floor.password,
        mac_addresses: server.nics.map(({ mac }) => mac.toUpperCase()),
      }),
    );
    const id = created.system_id;
    assert.equal(created.status_name, 'Commissioning');

    const ready = await status(id, 'Ready');
    assert.equal(ready.hostname, 'web-1');
    const nics = ready.interface_set;
    assert.deepEqual(
      nics.map(({ mac_address }) => mac_address),
      server.nics.map(({ mac }) => mac),
    );
    assert.ok(nics[0]!.links[0]!.subnet, 'the boot interface is linked to a subnet');

    const fabric = nics[0]!.vlan!.fabric_id;
    const vlan = await ok(maas.post(`fabrics/${fabric}/vlans/`, { vid: redVlan, name: 'red' }));
    const subnet = await ok(
      maas.post('subnets/', { cidr: '10.1.200.0/24', vlan: vlan['id'] as number, gateway_ip: '10.1.200.1' }),
    );

    const allocated = await ok(maas.post('machines/?op=allocate', { system_id: id, cpu_count: 1 }));
    assert.deepEqual([allocated.status_name, allocated.owner], ['Allocated', 'admin']);
    assert.deepEqual(allocated['constraints_by_type'], {});

    const interfaces = `nodes/${id}/interfaces/`;
    const bond = (await ok(
      maas.post(`${interfaces}?op=create_bond`, {
        name: 'bond0',
        parents: nics.map((nic) => nic.id),
        vlan: vlan['id'] as number,
      }),
    )) as unknown as MaasInterface;
    assert.equal(bond.params['bond_mode'], 'active-backup');
    assert.equal(bond.links[0]!.mode, 'link_up');
    const linked = (await ok(
      maas.post(`${interfaces}${bond.id}/?op=link_subnet`, {
        mode: 'DHCP',
        subnet: subnet['id'] as number,
        force: 'True',
      }),
    )) as unknown as MaasInterface;
    assert.deepEqual(
      linked.links.map(({ mode, subnet: linkedTo }) => [mode, linkedTo?.id]),
      [['dhcp', subnet['id']]],
    );

    const deploying = await ok(
      maas.post(`machines/${id}/?op=deploy`, {
        distro_series: 'jammy',
        user_data: Buffer.from('#cloud-config\n').toString('base64'),
      }),
    );
    assert.equal(deploying.status_name, 'Deploying');
    const deployed = await status(id, 'Deployed');
    assert.deepEqual([deployed.osystem, deployed.distro_series], ['ubuntu', 'jammy']);
    const row = (): ReturnType<typeof stage.floor.table>[number] =>
      stage.floor.table().find((one) => one.machine === server.name)!;
    assert.deepEqual(
      row().ports.map((port) => [port.native, port.tagged, port.up]),
      row().ports.map(() => [redVlan, [], true]),
    );
    await until(() => server.os !== null, 'the deployed system');
    assert.equal(server.os?.interfaces[0]?.kind, 'bond');

    const refused = await maas.post(`machines/${id}/?op=deploy`);
    assert.equal(refused.status, 409);
    assert.equal(refused.text, "Can't deploy a machine that is in the 'Deployed' state");

    await ok(maas.post(`machines/${id}/?op=power_cycle`));
    await until(async () => {
      const { operations } = (await stage.admin.call('GET', `/operations?machine=${id}`)) as {
        operations: { kind: string; state: string }[];
      };
      return operations.some(({ kind, state }) => kind === 'reboot' && state === 'done');
    }, 'the power cycle');
    assert.equal((await ok(maas.get(`machines/${id}/?op=query_power_state`)))['state'], 'on');

    const releasing = await ok(
      maas.post(`machines/${id}/?op=release`, { erase: 'true', quick_erase: 'true' }),
    );
    assert.equal(releasing.status_name, 'Releasing');
    const free = await status(id, 'Ready');
    assert.equal(free.owner, null);
    assert.deepEqual(
      free.interface_set.map(({ type }) => type),
      nics.map(() => 'physical'),
    );
  });
});
