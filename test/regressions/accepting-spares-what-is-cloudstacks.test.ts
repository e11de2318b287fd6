import assert from 'node:assert/strict';
import { freeMachine } from '../api/maas/machine-samples.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { machine, machineId } from '../store/samples.ts';

// `op=commission` of a machine that stands in a CloudStack is refused; `op=accept` and `op=accept_all` began it all the same, and it erases.
it('new machines of a CloudStack are not commissioned by accepting machines over the MAAS API', async function () {
  this.timeout(30_000);
  const maas = new MaasService();
  try {
    await maas.start();
    const { cloudPlace } = machine(1);
    assert.ok(cloudPlace);
    await maas.admin.storage.run((tx) =>
      tx.machines.insert(freeMachine(1, { state: 'new', cpus: 0, cloudPlace })),
    );
    const one = await maas.post('machines/?op=accept', { machines: machineId(1) });
    assert.equal(one.status, 409, one.text);
    const all = await maas.post('machines/?op=accept_all');
    assert.deepEqual([all.status, all.json], [200, []]);
    const operations = await maas.admin.storage.run((tx) => tx.journal.list({ limit: 10 }));
    assert.deepEqual(operations, []);
  } finally {
    await maas.dispose();
  }
});
