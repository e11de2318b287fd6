import assert from 'node:assert/strict';
import { AdminService, enrolment } from '../api/admin/admin-service.ts';
import type { MachineId } from '../../src/core/machine/machine.ts';
import { claim } from '../store/samples.ts';

// Enrolled again with the wiring "none", which the rack config is refused for, a machine lost its tenant without its ports: the Destroy
// left them alone, in the tenant's VLANs, and the next tenant of the machine was there too.
it('a machine that somebody holds is not enrolled with another wiring', async () => {
  const service = new AdminService();
  await service.start();
  try {
    const enrol = (wiring?: string) =>
      service.post('/machines', { ...enrolment(1), ...(wiring && { wiring }) });
    const first = await enrol('managed');
    assert.equal(first.status, 201, first.text);
    const machineId = first.json.machine.id as MachineId;
    await service.storage.run((tx) => tx.claims.insert({ ...claim(1), machineId }));
    const refused = await enrol('none');
    assert.deepEqual([refused.status, refused.json.error.code], [409, 'claim.machine-taken'], refused.text);
    assert.equal((await enrol()).status, 201);
    assert.equal((await service.storage.run((tx) => tx.machines.find(machineId)))?.wiring, 'managed');
    await service.storage.run((tx) => tx.claims.delete(machineId, claim(1).externalId));
    assert.equal((await enrol('none')).status, 201);
  } finally {
    await service.dispose();
  }
});
