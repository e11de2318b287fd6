import assert from 'node:assert/strict';
import type { Tx } from '../../src/core/storage/storage.ts';
import { isFenced } from '../../src/operations/machine-state.ts';
import { provisioningPort, shutPort } from '../../src/core/network/port-roles.ts';
import { machine, port, switchRecord } from '../store/samples.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';

const owner = machine(1);
const at = switchRecord('tor-a');
const [before, first, second] = [port('p1'), port('p5'), port('p6')];

// A machine that was cabled to another port once, and recabled while it was free, could not be fenced any more: its earlier port is not
// shut by a fence, but had to be for it to be proven. With a BMC that did not answer its Destroy failed for ever, tenant and all.
describe('the proof of a fence', () => {
  let temp: TempStorage;
  beforeEach(async () => {
    temp = await tempStorage();
    const [nic, other] = owner.nics;
    await temp.storage.run(async (tx) => {
      await tx.machines.insert(owner);
      const wires = [
        { mac: nic!.mac, switch: at.name, port: first, server: null },
        { mac: other!.mac, switch: at.name, port: second, server: null },
      ];
      await tx.racks.replace('{}', [at], wires);
      await tx.ports.desire({
        ...{ switch: at.name, port: before, machineId: owner.id },
        ...{ purpose: 'provisioning', desired: provisioningPort(at) },
      });
    });
  });
  afterEach(() => temp.close());

  const shut = async (tx: Tx, one: typeof first): Promise<void> => {
    const place = { switch: at.name, port: one };
    const wanted = { ...place, machineId: owner.id, purpose: 'fenced', desired: shutPort } as const;
    const { desiredVersion } = await tx.ports.desire(wanted);
    await tx.ports.observe({ ...place, observed: null, observedVersion: desiredVersion, observedAt: 1 });
  };
  const fenced = (): Promise<boolean> => temp.storage.run((tx) => isFenced(tx, owner.id));

  it('is about the ports that the machine has now', async () => {
    await temp.storage.run(async (tx) => {
      await shut(tx, first);
      await shut(tx, second);
    });
    assert.equal(await fenced(), true);
  });

  it('is about all of them', async () => {
    await temp.storage.run((tx) => shut(tx, first));
    assert.equal(await fenced(), false);
  });

  it('is none where nothing is connected any more', async () => {
    await temp.storage.run(async (tx) => {
      await shut(tx, before);
      await tx.racks.replace('{}', [at], []);
    });
    assert.equal(await fenced(), false);
  });
});
