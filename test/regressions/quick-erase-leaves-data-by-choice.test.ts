import assert from 'node:assert/strict';
import { LawOracle } from '../../lab/floor/law-oracle.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { Bench, nicConfig, provisioning, redVlan, smallImage } from '../lab/machine/bench.ts';
import { port } from '../lab/network/fake-switch.ts';

// A tenant's system that ran before a quick erase leaves data in the middle of the disk, and the next install was told as an
// image over somebody's data. Whoever asked for a quick erase chose that (law 5); it showed only where the system was up in time.
describe('the oracle of the floor, where a system ran on the disk', () => {
  let bench: Bench;
  let oracle: LawOracle;
  beforeEach(async () => {
    bench = new Bench();
    await bench.start();
    oracle = new LawOracle({
      fabric: bench.fabric,
      machines: [bench.machine],
      router: bench.router,
      clock: new SystemClock(),
      provisioning: () => ({ vlan: 100, isDefault: false }),
    });
    await tenant('i-1');
  });
  afterEach(async () => {
    oracle.close();
    await bench.stop();
  });

  const laws = (): string[] => oracle.violations.map(({ law, said }) => `${law}: ${said}`);

  async function tenant(instanceId: string): Promise<void> {
    bench.setPorts(provisioning);
    await bench.install(nicConfig, smallImage(), instanceId);
    bench.setPorts(port(redVlan));
    bench.on('disk');
    await bench.phase('os');
    await bench.off();
  }

  async function erase(grade: string): Promise<void> {
    bench.setPorts(provisioning);
    bench.boot.give({ id: `op-${grade}`, phase: 'erase', grade, disks: [] });
    assert.equal((await bench.runOrder())['ok'], true);
  }

  it('lets the next tenant in after a quick erase', async () => {
    await erase('quick');
    await tenant('i-2');
    assert.deepEqual(laws(), []);
  });

  it('tells of an install when nothing was erased after that', async () => {
    await erase('quick');
    await tenant('i-2');
    await tenant('i-3');
    assert.deepEqual(laws(), [
      '5: an image is written over vda, which still holds i-2',
      '5: its system found the data of i-2 on the disk',
    ]);
  });

  it('tells of a full erase that wrote nothing', async () => {
    bench.machine.behaviours.add({ kind: 'erase-skips', disk: 'vda' });
    await erase('full');
    await tenant('i-2');
    assert.deepEqual(laws(), [
      '5: an image is written over vda, which still holds i-1',
      '5: its system found the data of i-1 on the disk',
    ]);
  });
});
