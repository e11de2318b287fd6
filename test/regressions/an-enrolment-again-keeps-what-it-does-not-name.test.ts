import assert from 'node:assert/strict';
import { AdminService, enrolment } from '../api/admin/admin-service.ts';
import type { MachineId } from '../../src/core/machine/machine.ts';

/**
 * Whoever enrolled a known machine once more, to rename it, got back cipher suite 3 where 17 had been demanded, and lost the BMC's key,
 * its privilege and the host tag.
 */
describe('an enrolment of a known machine', () => {
  const service = new AdminService();
  before(() => service.start());
  after(() => service.dispose());

  const place = { cloud: 'cloudstack', zone: 'z1', pod: 'p1', cluster: 'c1' };
  const enrol = async (change: { readonly bmc?: object; readonly cloudPlace?: object }) => {
    const { bmc, ...message } = enrolment(1) as unknown as { readonly bmc: object };
    const body = { ...message, cloudPlace: place, ...change, bmc: { ...bmc, ...change.bmc } };
    const { status, json, text } = await service.post('/machines', body);
    assert.equal(status, 201, text);
    const machine = await service.storage.run((tx) => tx.machines.find(json.machine.id as MachineId));
    const { minSuite, privilege, kg } = machine!.bmc!;
    return [minSuite, privilege, kg?.reveal() ?? null, machine!.cloudPlace!.hostTag];
  };

  it('keeps what it does not name, and changes what it names', async () => {
    assert.deepEqual(await enrol({}), [3, 'operator', null, null]);
    const settings = { minSuite: 17, privilege: 'administrator', kg: 'a-key' };
    const set = [17, 'administrator', 'a-key', 'gpu'];
    assert.deepEqual(await enrol({ bmc: settings, cloudPlace: { ...place, hostTag: 'gpu' } }), set);
    assert.deepEqual(await enrol({}), set);
    assert.deepEqual(await enrol({ bmc: { host: '192.0.2.77' } }), set, 'at another address, too');
    assert.deepEqual(
      await enrol({
        bmc: { minSuite: 3, privilege: 'operator', kg: 'another' },
        cloudPlace: { ...place, hostTag: null },
      }),
      [3, 'operator', 'another', null],
    );
  });
});
