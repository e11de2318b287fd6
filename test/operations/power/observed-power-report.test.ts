import assert from 'node:assert/strict';
import { seconds, type Duration, type PowerState } from '../../../plugin-api/index.ts';
import type { MachineId } from '../../../src/core/machine/machine.ts';
import type { PowerService } from '../../../src/operations/power/power-service.ts';
import { Machines } from '../../../src/operations/machines.ts';
import type { World } from '../../../src/operations/world.ts';
import { claim, machine, machineId, operation } from '../../store/samples.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';

describe('the power report of what was read in the background', () => {
  let temp: TempStorage;
  let machines: Machines;
  let observed: { readonly state: PowerState } | null;
  let asked: { readonly id: MachineId; readonly maxAge: Duration } | null;

  beforeEach(async () => {
    temp = await tempStorage();
    observed = { state: 'on' };
    asked = null;
    const power: Partial<PowerService> = {
      observed: (id, maxAge) => {
        asked = { id, maxAge };
        return observed && { ...observed, at: 0 };
      },
    };
    machines = new Machines({ storage: temp.storage, power } as unknown as World);
    await temp.storage.run(async (tx) => {
      await tx.machines.insert(machine(1, { quarantine: null }));
      await tx.claims.insert(claim(1));
    });
  });

  afterEach(() => temp.close());

  const report = (n = 1): ReturnType<Machines['observedPowerReport']> =>
    machines.observedPowerReport(machineId(n), seconds(90));

  it("names the instance by CloudStack's own name", async () => {
    assert.deepEqual(await report(), new Map([['i-2-1-VM', 'PowerOn']]));
    assert.deepEqual(asked, { id: machineId(1), maxAge: seconds(90) });
    observed = { state: 'off' };
    assert.deepEqual(await report(), new Map([['i-2-1-VM', 'PowerOff']]));
  });

  it('is complete and empty for a machine that nobody holds, whatever is known of its power', async () => {
    await temp.storage.run((tx) => tx.machines.insert(machine(2, { quarantine: null })));
    observed = null;
    assert.deepEqual(await report(2), new Map());
  });

  it('is absent while nothing fresh is known', async () => {
    observed = null;
    assert.equal(await report(), null);
  });

  it('is absent for a machine that is withheld, and for one that is not there', async () => {
    await temp.storage.run(async (tx) => {
      await tx.machines.insert(machine(2));
      await tx.claims.insert(claim(2));
    });
    assert.equal(await report(2), null);
    assert.equal(await report(3), null);
  });

  it('is absent while an operation runs, also when it began after the power was asked for', async () => {
    const running = temp.storage.run((tx) => tx.journal.insert(operation('op-1', 1)));
    assert.equal(await report(), null);
    await running;
    assert.equal(await report(), null);
  });
});
