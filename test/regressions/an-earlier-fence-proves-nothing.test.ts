import assert from 'node:assert/strict';
import { DeviceError } from '../../plugin-api/index.ts';
import { shutPort } from '../../src/core/network/port-roles.ts';
import type { Tx } from '../../src/core/storage/storage.ts';
import { destroy } from '../../src/operations/destroy.ts';
import type { StepRun } from '../../src/operations/journal/step.ts';
import type { PortWish } from '../../src/operations/ports/port-service.ts';
import { machine, port, switchRecord } from '../store/samples.ts';
import { tempStorage } from '../support/temp-storage.ts';

const owner = machine(1);
const at = switchRecord('tor-a');
const places = owner.nics.map(({ mac }, n) => ({ switch: at.name, port: port(`p${n}`), mac }));

// A machine whose ports had been shut by a fence once, and were opened by a person since, was destroyed while neither its BMC nor its
// switch answered: the earlier fence was taken for this one, and the Destroy was answered with the tenant still on the network.
it('a Destroy that cannot shut the ports is not done because they were shut once', async () => {
  const temp = await tempStorage();
  try {
    const desire = async (tx: Tx, wishes: readonly PortWish[]): Promise<void> => {
      for (const wish of wishes) await tx.ports.desire({ ...wish, machineId: owner.id });
    };
    await temp.storage.run(async (tx) => {
      await tx.machines.insert(owner);
      await tx.racks.replace(
        '{}',
        [at],
        places.map((place) => ({ ...place, server: null })),
      );
      await desire(
        tx,
        places.map((place) => ({ ...place, purpose: 'fenced', desired: shutPort })),
      );
      for (const place of places)
        await tx.ports.observe({ ...place, observed: null, observedVersion: 1, observedAt: 1 });
    });
    let answers = false;
    const run = {
      operation: { machineId: owner.id },
      machine: () => Promise.resolve(owner),
      world: {
        storage: temp.storage,
        ports: {
          wiring: () => Promise.resolve(places.map((place) => ({ ...place, at }))),
          desire: (tx: Tx, _id: string, wishes: readonly PortWish[]) => desire(tx, wishes),
          settle: () =>
            answers
              ? Promise.resolve([{ summary: 'shut', verified: true }])
              : Promise.reject(new DeviceError({ code: 'switch.unreachable', what: 'no answer' })),
        },
      },
    } as unknown as StepRun<never>;
    const fence = destroy.steps.find(({ name }) => name === 'ports.fence')!;
    await assert.rejects(fence.run(run), { code: 'operation.fenced' });
    answers = true;
    assert.match((await fence.run(run)).evidence.summary, /its ports are shut/);
  } finally {
    await temp.close();
  }
});
