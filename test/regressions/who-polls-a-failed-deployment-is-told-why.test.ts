import assert from 'node:assert/strict';
import { freeMachine, userClaim } from '../api/maas/machine-samples.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { machineId, operation } from '../store/samples.ts';

// `status_message` of a failed deployment was null: a CI job that polled its machine saw that it had failed, and never why.
it('the message of a failed deployment says what failed, to its user and in lists', async function () {
  this.timeout(30_000);
  const maas = new MaasService();
  try {
    await maas.start();
    const anna = await maas.newUser('anna');
    await maas.admin.storage.run(async (tx) => {
      const failed = { kind: 'start', state: 'failed' } as const;
      const error = {
        code: 'deploy.image',
        retry: 'later',
        what: 'the image came short',
        said: null,
      } as const;
      for (const n of [1, 2]) {
        await tx.machines.insert(freeMachine(n, { state: 'failed' }));
        const old = { ...error, what: 'what was wrong before' };
        for (const [at, why] of [
          [1_000, old],
          [5_000, error],
        ] as const)
          await tx.journal.insert(
            operation(`op-${n}-${at}`, n, { ...failed, createdAt: at, endedAt: at + 1, error: why as never }),
          );
      }
      await tx.claims.insert(userClaim(1, 'anna'));
    });
    const shown = (json: unknown) => {
      const { status_name: status, status_message: message } = json as Readonly<Record<string, unknown>>;
      return [status, message];
    };
    const failed = ['Failed deployment', 'Failed deployment - deploy.image: the image came short'];
    assert.deepEqual(shown((await maas.get(`machines/${machineId(1)}/`, { key: anna })).json), failed);
    const list = (await maas.get('machines/')).json as readonly object[];
    assert.deepEqual(list.map(shown)[0], failed);
    // What it was that failed on a machine which nobody holds is no matter of whoever looks for a free one.
    assert.equal(shown((await maas.get(`machines/${machineId(2)}/`, { key: anna })).json)[1], null);
  } finally {
    await maas.dispose();
  }
});
