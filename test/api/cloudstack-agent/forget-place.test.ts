import assert from 'node:assert/strict';
import { forgetPlace } from '../../../src/api/cloudstack-agent/cloud-hosts.ts';
import type { MachineId } from '../../../src/core/machine/machine.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { machine as sampleMachine } from '../../store/samples.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';

describe('a host that CloudStack removed', () => {
  let temp: TempStorage;
  beforeEach(async () => {
    temp = await tempStorage();
  });
  afterEach(() => temp.close());

  it('has no place any more, an alarm says so, and the machine is as it was', async () => {
    const { storage } = temp;
    const cloudPlace = {
      cloud: 'cloudstack',
      zone: 'zone-1',
      pod: 'pod-1',
      cluster: '1',
      hostTag: null,
      guid: 'csbm-abc123',
      hostId: '42',
    };
    const machine = sampleMachine(1, { cloudPlace });
    await storage.run((tx) => tx.machines.insert(machine));
    for (let turn = 0; turn < 2; turn += 1) await forgetPlace(storage, new SystemClock(), machine.id);
    const after = await storage.run((tx) => tx.machines.find(machine.id));
    assert.equal(after!.cloudPlace, null);
    assert.deepEqual({ ...after, version: machine.version, cloudPlace }, machine);
    const alarms = await storage.run((tx) => tx.alarms.list(10));
    assert.deepEqual(
      alarms.map(({ code, machineId }) => [code, machineId]),
      [['agent.removed', machine.id]],
      'once',
    );
    await forgetPlace(storage, new SystemClock(), 'zzzzzz' as MachineId);
  });
});
