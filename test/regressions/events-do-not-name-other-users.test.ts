import assert from 'node:assert/strict';
import { userClaimId } from '../../src/core/claim/claim.ts';
import { freeMachine } from '../api/maas/machine-samples.ts';
import { MaasService } from '../api/maas/maas-service.ts';
import { machineId, operation } from '../store/samples.ts';

// The events of a free machine told every user who had held it before, with what that user had commented, and what of CloudStack's had.
it('events name a user only what is its own', async function () {
  this.timeout(30_000);
  const maas = new MaasService();
  try {
    await maas.start();
    const [anna, bob] = [await maas.newUser('anna'), await maas.newUser('bob')];
    const requester = { principal: 'anna', door: 'maas', reason: 'for the audit of March' } as const;
    const id = machineId(1);
    await maas.admin.storage.run(async (tx) => {
      await tx.machines.insert(freeMachine(1));
      await tx.journal.insert(
        operation('op-1', 1, {
          kind: 'destroy',
          state: 'failed',
          createdAt: 1_000,
          endedAt: 2_000,
          requester,
          input: { externalId: userClaimId('anna', id) },
          error: { code: 'deploy.failed', retry: 'later', what: 'sda of anna is gone', said: null } as never,
        }),
      );
    });
    const of = async (key: typeof anna, query = '') => {
      const { json } = await maas.get(`events/?op=query&id=${id}${query}`, { key });
      return (json as { readonly events: readonly Readonly<Record<string, unknown>>[] }).events;
    };
    const types = (events: Awaited<ReturnType<typeof of>>) => events.map(({ type }) => type);
    const told = await of(bob);
    assert.deepEqual(types(told), ['Releasing failed', 'Releasing'], 'what the machine went through');
    assert.doesNotMatch(JSON.stringify(told), /anna|March|sda/);
    assert.deepEqual(await of(bob, '&owner=anna'), []);
    for (const key of [anna, maas.key])
      assert.match(JSON.stringify(await of(key, '&owner=anna')), /sda of anna.*for the audit of March/);
  } finally {
    await maas.dispose();
  }
});
