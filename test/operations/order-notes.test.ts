import assert from 'node:assert/strict';
import { StoredOrderNotes } from '../../src/operations/order-notes.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';

describe('notes of deploy engines', () => {
  let temp: TempStorage;
  beforeEach(async () => {
    temp = await tempStorage();
  });
  afterEach(() => temp.close());

  it('are there after a restart, changed, and gone when removed', async () => {
    const notes = new StoredOrderNotes(temp.storage);
    assert.equal(await notes.get('op-1:deploy'), null);
    await notes.put('op-1:deploy', 'abc123', { sent: false });
    await notes.put('op-1:deploy', 'abc123', { sent: true });
    assert.deepEqual(await new StoredOrderNotes(temp.storage).get('op-1:deploy'), { sent: true });
    await notes.remove('op-1:deploy');
    await notes.remove('op-1:deploy');
    assert.equal(await notes.get('op-1:deploy'), null);
  });

  it('are one for each machine: its latest order', async () => {
    const notes = new StoredOrderNotes(temp.storage);
    await notes.put('op-1:commission', 'abc123', { n: 1 });
    await notes.put('op-2:erase', 'xyz789', { n: 2 });
    await notes.put('op-1:erase', 'abc123', { n: 3 });
    assert.equal(await notes.get('op-1:commission'), null);
    assert.deepEqual(await notes.get('op-2:erase'), { n: 2 });
    assert.deepEqual(await notes.get('op-1:erase'), { n: 3 });
  });
});
