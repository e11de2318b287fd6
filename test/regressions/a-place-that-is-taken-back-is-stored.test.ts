import assert from 'node:assert/strict';
import { machine } from '../store/samples.ts';
import { tempStorage } from '../support/temp-storage.ts';

// What a machine was read with was taken for what is stored, also after it was changed once: who changed it back stored nothing.
it('a place in a cloud that is given and taken back in one unit of work is stored as it is last', async () => {
  const temp = await tempStorage();
  try {
    await temp.storage.run((tx) => tx.machines.insert(machine(1, { cloudPlace: null })));
    const place = machine(2).cloudPlace;
    assert.notEqual(place, null);
    await temp.storage.run(async (tx) => {
      const read = await tx.machines.find(machine(1).id);
      const given = await tx.machines.update({ ...read!, cloudPlace: place });
      await tx.machines.update({ ...given, cloudPlace: null });
    });
    const after = await temp.storage.run((tx) => tx.machines.find(machine(1).id));
    assert.equal(after?.cloudPlace, null);
  } finally {
    await temp.close();
  }
});
