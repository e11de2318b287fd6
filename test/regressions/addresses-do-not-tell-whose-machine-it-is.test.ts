import assert from 'node:assert/strict';
import { emptyProfile } from '../../src/core/machine/profile.ts';
import { freeMachine, userClaim } from '../api/maas/machine-samples.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { machineId } from '../store/samples.ts';

// `subnets/{id}/?op=ip_addresses` told every user the machines of all others, and who had reserved what.
it('the addresses of a subnet do not tell a user what machines others hold', async function () {
  this.timeout(30_000);
  const maas = new MaasService();
  try {
    await maas.start();
    const [anna, bob] = [await maas.newUser('anna'), await maas.newUser('bob')];
    const { id, vlan } = (await maas.post('subnets/', { cidr: '10.1.200.0/24' })).json as {
      readonly id: number;
      readonly vlan: { readonly id: number };
    };
    await maas.admin.storage.run(async (tx) => {
      await tx.machines.insert(freeMachine(1));
      await tx.claims.insert(userClaim(1, 'anna'));
      const links = [{ id: 1, mode: 'static', subnet: id, address: '10.1.200.5' }] as const;
      const nic = { id: 1, kind: 'physical', name: 'eth0', mac: '52:54:00:00:00:01', vlan: vlan.id } as const;
      const interfaces = [{ ...nic, parents: [], enabled: true, tags: [], params: {}, links }];
      await tx.profiles.save({ ...emptyProfile(machineId(1)), interfaces });
    });
    assert.equal(
      (await maas.post('ipaddresses/?op=reserve', { ip: '10.1.200.9' }, { key: anna })).status,
      200,
    );
    const path = `subnets/${id}/?op=ip_addresses`;
    const seen = (await maas.get(path, { key: bob })).json as readonly object[];
    assert.deepEqual(seen, [
      { ip: '10.1.200.5', alloc_type: 1 },
      { ip: '10.1.200.9', alloc_type: 4 },
    ]);
    for (const key of [anna, maas.key]) {
      const { text } = await maas.get(path, { key });
      assert.match(text, new RegExp(machineId(1)));
      assert.match(text, /"user":"anna"/);
    }
  } finally {
    await maas.dispose();
  }
});
