import assert from 'node:assert/strict';
import { Secret } from '../../plugin-api/index.ts';
import type { Machine } from '../../src/core/machine/machine.ts';
import type { SqlStorage } from '../../src/store/open-storage.ts';
import { Session } from '../../src/store/session.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';
import { rejectsWith } from './rejects-with.ts';
import { claim, mac, machine, machineId } from './samples.ts';

const bare: Partial<Machine> = {
  bmc: null,
  nics: [],
  disks: [],
  rootDiskSerial: null,
  cloudPlace: null,
  clean: null,
  quarantine: null,
  power: null,
};

describe('machine store', () => {
  let temp: TempStorage;
  let storage: SqlStorage;

  beforeEach(async () => {
    temp = await tempStorage();
    storage = temp.storage;
  });
  afterEach(() => temp.close());

  const insert = (one: Machine): Promise<void> => storage.run((tx) => tx.machines.insert(one));
  const find = (n: number): Promise<Machine | null> => storage.run((tx) => tx.machines.find(machineId(n)));
  const update = (one: Machine): Promise<Machine> => storage.run((tx) => tx.machines.update(one));

  it('gives a machine back as it was, with everything present and with everything absent', async () => {
    await insert(machine(1));
    await insert(machine(2, bare));
    const found = await find(1);
    assert.deepEqual(found, machine(1));
    assert.equal(found.bmc?.password.reveal(), 'bmc-password-1');
    assert.equal(found.bmc.kg?.reveal(), 'bmc-kg-1');
    assert.deepEqual(await find(2), machine(2, bare));
    assert.equal(await find(3), null);
  });

  it('finds by hostname, by any MAC and by BMC address', async () => {
    await insert(machine(1));
    await insert(machine(2));
    await storage.run(async ({ machines }) => {
      assert.equal((await machines.findByHostname('node-2'))?.id, machineId(2));
      assert.equal((await machines.findByMac(mac(2, 1)))?.id, machineId(2));
      assert.equal((await machines.findByBmc('10.0.0.1', 623))?.id, machineId(1));
      assert.equal(await machines.findByHostname('node-3'), null);
      assert.equal(await machines.findByMac(mac(3)), null);
      assert.equal(await machines.findByBmc('10.0.0.1', 624), null);
    });
  });

  it('tells by itself whether a machine is withheld', async () => {
    await insert(machine(1));
    await insert(machine(2, { quarantine: null }));
    await storage.run(async ({ machines }) => {
      assert.equal(await machines.isWithheld(machineId(1)), true);
      assert.equal(await machines.isWithheld(machineId(2)), false);
      assert.equal(await machines.isWithheld(machineId(3)), null);
    });
  });

  it('lists by hostname, each with its own parts in their order', async () => {
    for (const n of [3, 1, 2]) await insert(machine(n, n === 2 ? bare : {}));
    assert.deepEqual(await storage.run((tx) => tx.machines.list()), [
      machine(1),
      machine(2, bare),
      machine(3),
    ]);
  });

  it('changes everything that an update changes, and returns the record as stored', async () => {
    await insert(machine(1));
    const { nics, disks } = machine(1);
    const changed = machine(1, {
      state: 'failed',
      bmc: { ...machine(1).bmc!, password: new Secret('another'), kg: null },
      nics: [nics[1]!, nics[0]!, { ...nics[0]!, name: 'eno3', mac: mac(9, 9) }],
      disks: [disks[1]!],
      cloudPlace: { ...machine(1).cloudPlace!, pod: 'p2', cluster: 'c9' },
      clean: null,
      power: { state: 'on', at: 99 },
    });
    const stored = await update(changed);
    assert.deepEqual(stored, { ...changed, version: 1 });
    const found = await find(1);
    assert.deepEqual(found, stored);
    assert.equal(found.bmc?.password.reveal(), 'another');
    assert.equal((await update({ ...stored, ...bare })).version, 2);
    assert.deepEqual(await find(1), { ...stored, ...bare, version: 2 });
  });

  it('writes every part that is another than is stored, whichever record it comes from', async () => {
    await insert(machine(1));
    const first = (await find(1))!;
    const reading = await update({ ...first, power: { state: 'on', at: 99 } });
    assert.deepEqual(await find(1), reading);
    const swapped = await update({
      ...reading,
      nics: [first.nics[1]!, first.nics[0]!],
      disks: [],
      bmc: null,
    });
    assert.deepEqual(await find(1), swapped);
    const { nics, disks, bmc } = first;
    const back = await update({ ...swapped, nics, disks, bmc, cloudPlace: null });
    assert.deepEqual(await find(1), back);
    assert.deepEqual(back.nics, first.nics);
    // What a unit wrote that was rolled back is not what is stored.
    const read = (await find(1))!;
    const lost = storage.run(async (tx) => {
      await tx.machines.update({ ...read, disks: [], site: 'elsewhere' });
      throw new Error('rolled back');
    });
    await assert.rejects(lost, /rolled back/);
    await update({ ...read, state: 'broken' });
    assert.deepEqual(await find(1), { ...read, state: 'broken', version: read.version + 1 });
  });

  it('does not take the parts of one machine for those of another', async () => {
    await insert(machine(1, { nics: [] }));
    await insert(machine(2, { nics: [] }));
    const [one, two] = [(await find(1))!, (await find(2))!];
    const changed = await update({ ...two, nics: one.nics, disks: one.disks });
    assert.deepEqual(await find(2), changed);
    assert.deepEqual(changed.disks, one.disks);
  });

  it('refuses an update or a delete of an old version, and changes nothing', async () => {
    await insert(machine(1));
    const first = await update(machine(1, { state: 'deploying' }));
    await rejectsWith(update(machine(1, { state: 'broken', nics: [] })), 'store.conflict');
    await rejectsWith(
      storage.run((tx) => tx.machines.delete(machineId(1), 0)),
      'store.conflict',
    );
    assert.deepEqual(await find(1), first);
  });

  it('lets exactly one of many racing updates of the same version through', async () => {
    await insert(machine(1));
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) => update(machine(1, { product: `p${i}` }))),
    );
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.equal((await find(1))?.version, 1);
  });

  it('refuses a second machine of the same id, hostname, MAC, BMC address or host key', async () => {
    await insert(machine(1));
    const others: Partial<Machine>[] = [
      { id: machineId(1) },
      { hostname: 'node-1' },
      { nics: machine(1).nics },
      { bmc: machine(1).bmc },
      { cloudPlace: machine(1).cloudPlace },
    ];
    for (const other of others) await rejectsWith(insert(machine(2, other)), 'store.conflict');
    assert.equal(await find(2), null);
    await insert(machine(2));
  });

  it('deletes a machine with its parts, but not a claimed one', async () => {
    await insert(machine(1));
    await storage.run((tx) => tx.claims.insert(claim(1)));
    await rejectsWith(
      storage.run((tx) => tx.machines.delete(machineId(1), 0)),
      'store.conflict',
    );
    await storage.run(async (tx) => {
      await tx.claims.delete(machineId(1), claim(1).externalId);
      await tx.machines.delete(machineId(1), 0);
    });
    assert.equal(await find(1), null);
    assert.equal(await storage.run((tx) => tx.machines.findByMac(mac(1))), null);
    await insert(machine(1));
  });

  it('lists any number of machines with the same number of statements', async () => {
    await insert(machine(1));
    const few = await countStatements(() => storage.run((tx) => tx.machines.list()));
    for (let n = 2; n < 30; n += 1) await insert(machine(n));
    assert.equal(await countStatements(() => storage.run((tx) => tx.machines.list())), few);
    assert.ok(few <= 3, `${few} statements`);
  });
});

async function countStatements(work: () => Promise<unknown>): Promise<number> {
  const original = Object.getOwnPropertyDescriptor(Session.prototype, 'execute')!;
  let count = 0;
  Session.prototype.execute = function (...args) {
    count += 1;
    return (original.value as typeof Session.prototype.execute).apply(this, args);
  };
  try {
    await work();
  } finally {
    Object.defineProperty(Session.prototype, 'execute', original);
  }
  return count;
}
