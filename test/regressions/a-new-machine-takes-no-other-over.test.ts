import assert from 'node:assert/strict';
import { freeMachine } from '../api/maas/machine-samples.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { claim, machine, machineId } from '../store/samples.ts';

// A POST with the BMC address of another machine and NICs of its own renamed that one, and gave it the NICs, even while CloudStack held it.
it('a machine that is made over the MAAS API does not become another one of the same BMC', async function () {
  this.timeout(30_000);
  const maas = new MaasService();
  try {
    await maas.start();
    const held = freeMachine(1, { state: 'deployed', cloudPlace: machine(1).cloudPlace });
    await maas.admin.storage.run(async (tx) => {
      await tx.machines.insert(held);
      await tx.claims.insert(claim(1));
    });
    const { status, text } = await maas.post('machines/', {
      architecture: 'amd64',
      hostname: 'mine',
      mac_addresses: '52:54:00:99:00:01',
      power_type: 'ipmi',
      power_parameters_power_address: `${held.bmc!.host}:${held.bmc!.port}`,
      power_parameters_power_user: 'u',
      power_parameters_power_pass: 'p',
      commission: 'false',
    });
    assert.equal(status, 400, text);
    assert.match(text, /power_parameters.*already/);
    const { hostname, nics } = (await maas.admin.storage.run((tx) => tx.machines.find(machineId(1))))!;
    assert.deepEqual([hostname, nics.length], [held.hostname, held.nics.length]);
  } finally {
    await maas.dispose();
  }
});
