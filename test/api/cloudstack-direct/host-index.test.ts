import assert from 'node:assert/strict';
import { minutes, seconds } from '../../../plugin-api/index.ts';
import { guidOfAddress, HostIndex } from '../../../src/api/cloudstack-direct/host-index.ts';
import type { Machine } from '../../../src/core/machine/machine.ts';
import { ManualClock } from '../../../src/kernel/clock/manual-clock.ts';
import { machine, machineId } from '../../store/samples.ts';

describe('CloudStack direct: hosts', () => {
  let clock: ManualClock;
  let machines: Machine[];
  let reads: number;
  let index: HostIndex;

  beforeEach(() => {
    clock = new ManualClock();
    machines = [machine(1), machine(2)];
    reads = 0;
    index = new HostIndex({
      machines: () => {
        reads += 1;
        return Promise.resolve(machines);
      },
      cloud: 'acme',
      clock,
      maxAge: seconds(30),
    });
  });

  it('makes the guid of an address as Java does', () => {
    assert.equal(guidOfAddress('192.0.2.101'), 'cdd95961-99cd-3911-a28a-44431b9755b7');
  });

  it('finds a machine by its own guid and by that of its BMC, and reads all machines once', async () => {
    assert.equal(await index.find('guid-1'), machineId(1));
    assert.equal(await index.find(guidOfAddress('10.0.0.2')), machineId(2));
    assert.equal(await index.find('nobody'), null);
    assert.equal(await index.find('toString'), null);
    assert.equal(reads, 1);
  });

  it('finds none where more than one fits, and none of another cloud', async () => {
    machines = [machine(1), machine(2, { bmc: { ...machine(2).bmc!, host: '10.0.0.1', port: 624 } })];
    assert.equal(await index.find(guidOfAddress('10.0.0.1')), null);
    assert.equal(await index.find('guid-2'), machineId(2));
    machines = [machine(1, { cloudPlace: { ...machine(1).cloudPlace!, cloud: 'other' } })];
    index.invalidate();
    assert.equal(await index.find('guid-1'), null);
  });

  it('reads again when it is told to, or when it is old', async () => {
    await index.find('guid-3');
    machines.push(machine(3));
    assert.equal(await index.find('guid-3'), null);
    index.invalidate();
    assert.equal(await index.find('guid-3'), machineId(3));
    machines.push(machine(4));
    await clock.advance(minutes(1));
    assert.equal(await index.find('guid-4'), machineId(4));
  });
});
