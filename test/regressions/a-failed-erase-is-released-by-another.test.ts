import assert from 'node:assert/strict';
import { freeMachine } from '../api/maas/machine-samples.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { machineId } from '../store/samples.ts';

// A release of a machine in the state "Failed disk erasing" was answered 200, and nothing was done: its caller waited for Ready in vain.
it('a machine whose erase failed is erased anew when it is released', async function () {
  this.timeout(30_000);
  const maas = new MaasService();
  try {
    await maas.start();
    await maas.admin.storage.run((tx) =>
      tx.machines.insert(freeMachine(1, { state: 'failed', clean: null })),
    );
    const path = `machines/${machineId(1)}/`;
    const before = (await maas.get(path)).json as { readonly status_name: string };
    assert.equal(before.status_name, 'Failed disk erasing');
    const { status, text } = await maas.post(`${path}?op=release`);
    assert.equal(status, 200, text);
    const [begun] = await maas.admin.storage.run((tx) => tx.journal.list({ limit: 10 }));
    assert.deepEqual([begun?.kind, begun?.machineId], ['erase', machineId(1)]);
  } finally {
    await maas.dispose();
  }
});
