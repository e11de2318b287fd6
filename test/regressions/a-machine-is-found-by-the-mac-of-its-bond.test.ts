import assert from 'node:assert/strict';
import { freeMachine } from '../api/maas/machine-samples.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { mac, machineId } from '../store/samples.ts';

// CloudStack's plugin gives a bond the MAC of the instance; a list by that MAC was empty.
it('a machine is found by the MAC that a client gave to its bond, and by that of a NIC', async function () {
  this.timeout(30_000);
  const maas = new MaasService();
  try {
    await maas.start();
    await maas.admin.storage.run(async (tx) => {
      for (const n of [1, 2]) await tx.machines.insert(freeMachine(n));
    });
    const bond = { name: 'bond0', parents: '1', mac_address: '06:AA:00:00:00:01' };
    const made = await maas.post(`nodes/${machineId(1)}/interfaces/?op=create_bond`, bond);
    assert.equal(made.status, 200, made.text);
    const found = async (...macs: readonly string[]) => {
      const query = macs.map((one) => `mac_address=${encodeURIComponent(one)}`).join('&');
      const list = (await maas.get(`machines/?${query}`)).json as readonly { readonly system_id: string }[];
      return list.map(({ system_id: id }) => id);
    };
    const nic = freeMachine(2).nics[0]!.mac;
    assert.deepEqual(await found('06:aa:00:00:00:01'), [machineId(1)]);
    assert.deepEqual(await found('06-AA-00-00-00-01', nic), [machineId(1), machineId(2)]);
    assert.deepEqual(await found(nic), [machineId(2)]);
    assert.deepEqual(await found(mac(99)), []);
  } finally {
    await maas.dispose();
  }
});
