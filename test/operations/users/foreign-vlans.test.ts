import assert from 'node:assert/strict';
import type { VlanId } from '../../../plugin-api/index.ts';
import { refuseForeignVlans } from '../../../src/operations/foreign-vlans.ts';
import { claim, machine, machineId, port, switchRecord } from '../../store/samples.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';

/** One VLAN of a fabric is never both a tenant's of CloudStack's and a user's. */
describe('VLANs of users and of instances', () => {
  let temp: TempStorage;
  const here = switchRecord('tor-a');
  const elsewhere = switchRecord('tor-x', { fabric: 'rack-2' });
  const vlan = (id: number): VlanId => id as VlanId;

  before(async () => {
    temp = await tempStorage();
    await temp.storage.run(async (tx) => {
      await tx.racks.replace('{}', [here, elsewhere], []);
      await tx.machines.insert(machine(1));
      await tx.machines.insert(machine(2));
      await tx.claims.insert(claim(1, 'acme/i-2-1-VM'));
      await tx.claims.insert({ ...claim(2, `maas/anna/${machineId(2)}`), holder: 'user' });
      const desire = (n: number, native: number, tagged: readonly number[]) =>
        tx.ports.desire({
          switch: here.name,
          port: port(`p${n}`),
          machineId: machineId(n),
          purpose: 'tenant',
          desired: { native: vlan(native), tagged: tagged.map(vlan), admin: 'up' },
        });
      await desire(1, 200, [201]);
      await desire(2, 300, [301]);
      // As a restore leaves the port of a machine that came after the backup.
      await tx.ports.desire({
        switch: here.name,
        port: port('p9'),
        machineId: null,
        purpose: 'tenant',
        desired: { native: vlan(500), tagged: [], admin: 'up' },
      });
    });
  });

  after(() => temp.close());

  const ask = (n: number, holder: 'instance' | 'user', ids: readonly number[], at = here): Promise<void> =>
    refuseForeignVlans(temp, { id: machineId(n), hostname: `node-${n}` }, [at], ids.map(vlan), holder);

  for (const id of [200, 201])
    it(`refuses a user VLAN ${id}, which an instance has`, () =>
      assert.rejects(ask(3, 'user', [id]), /network\.foreign-vlan/));

  for (const id of [300, 301])
    it(`refuses an instance VLAN ${id}, which a user has`, () =>
      assert.rejects(ask(3, 'instance', [400, id]), /network\.foreign-vlan/));

  it('refuses a user the VLAN of a port whose machine nobody knows, and lets an instance have it', async () => {
    await assert.rejects(ask(3, 'user', [500]), /not known here, at tor-a p9;.*network\.foreign-vlan/);
    await ask(3, 'instance', [500]);
  });

  it('lets their own kind share one, and everybody have one that nobody has', async () => {
    await ask(3, 'instance', [200, 201, 400]);
    await ask(3, 'user', [300, 301, 400]);
  });

  it('lets the same number be in another fabric, and on the ports of the machine itself', async () => {
    await ask(3, 'user', [200], elsewhere);
    await ask(1, 'user', [200]);
  });
});
