import assert from 'node:assert/strict';
import { askerOf } from '../../src/core/access/principal.ts';
import { ManualClock } from '../../src/kernel/clock/manual-clock.ts';
import { EventBus } from '../../src/kernel/events/event-bus.ts';
import { Machines } from '../../src/operations/machines.ts';
import type { World } from '../../src/operations/world.ts';
import { rejectsWith } from '../store/rejects-with.ts';
import { machine, operation } from '../store/samples.ts';
import { tempStorage } from '../support/temp-storage.ts';

const root = askerOf({ name: 'root', role: 'admin', scope: '*' }, 'test', '');

// A PUT over the MAAS API gave the machine another BMC in the middle of an operation: what had been confirmed off was one machine, what
// was switched on the other.
it('a machine keeps its BMC while an operation runs', async () => {
  const temp = await tempStorage();
  const { storage } = temp;
  try {
    const world = { storage, clock: new ManualClock(), events: new EventBus() } as unknown as World;
    const machines = new Machines(world);
    const known = machine(1);
    const bmc = known.bmc!;
    await storage.run(async (tx) => {
      await tx.machines.insert(known);
      await tx.journal.insert(operation('op-1', 1));
    });
    const other = { ...bmc, port: bmc.port + 1 };
    await rejectsWith(machines.amend(known.id, root, { bmc: other }), 'operation.conflict');
    const again = await machines.amend(known.id, root, { bmc: { ...bmc, username: 'root' }, cpus: 3 });
    assert.deepEqual([again.bmc?.port, again.bmc?.username, again.cpus], [bmc.port, 'root', 3]);
  } finally {
    await temp.close();
  }
});
