import assert from 'node:assert/strict';
import { minutes, seconds, type Bmc, type Clock, type PowerDriver } from '../../plugin-api/index.ts';
import type { MachineId } from '../../src/core/machine/machine.ts';
import type { Storage } from '../../src/core/storage/storage.ts';
import { ManualClock } from '../../src/kernel/clock/manual-clock.ts';
import { EventBus } from '../../src/kernel/events/event-bus.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import type { OperationEvents } from '../../src/operations/operation-events.ts';
import { PowerObservations } from '../../src/operations/power/power-observations.ts';
import { PowerService } from '../../src/operations/power/power-service.ts';
import type { Timings } from '../../src/operations/timings.ts';
import { machine as sample } from '../store/samples.ts';

const id = 'm1' as MachineId;

function serviceFor(bmc: Partial<Bmc>, clock: Clock): PowerService {
  return new PowerService({
    drivers: new Map([['ipmi', { type: 'ipmi', open: () => bmc as Bmc } as unknown as PowerDriver]]),
    storage: {} as Storage,
    clock,
    timings: {} as Timings,
    log: createLog({ level: 'silent' }),
    events: new EventBus<OperationEvents>(),
    makeWay: seconds(1),
  });
}

describe('regression: what is known of a machine from before', () => {
  // It was kept where no command of ours had ever run: another instance may have switched the machine meanwhile.
  it('does not count when it was being read while the machine was left to another instance', () => {
    const observations = new PowerObservations(new ManualClock());
    const ticket = observations.begin(id);
    observations.forget(id);
    assert.equal(observations.note(id, ticket, 'on'), false);
    assert.equal(observations.fresh(id, minutes(1)), null);
    assert.equal(observations.note(id, observations.begin(id), 'on'), true);
  });

  // Power was unknown to CloudStack while somebody read a long event log, or sensors, of which a person may read one after the other.
  it('is renewed while an event log is read', async () => {
    const bmc: Partial<Bmc> = {
      eventLog: () => new Promise(() => undefined),
      sensors: () => new Promise(() => undefined),
      state: async () => 'on',
    };
    const power = serviceFor(bmc, new ManualClock());
    const machine = sample(1, { power: { state: 'on', at: 1 } });
    void power.eventLog(machine);
    void power.sensors(machine);
    assert.equal(await power.poll(machine, new AbortController().signal), 'on');
  });

  // What its BMC had said was reported for a machine that had another BMC by then.
  it('is not what another BMC said', async () => {
    const clock = new ManualClock();
    let sets = 0;
    const bmc: Partial<Bmc> = {
      state: async () => 'on',
      setBootDevice: async () => {
        sets += 1;
        return { summary: 'set', verified: true, data: {} };
      },
      close: async () => undefined,
    };
    const power = serviceFor(bmc, clock);
    const { signal } = new AbortController();
    const machine = sample(1, { power: { state: 'on', at: 1 } });
    await power.poll(machine, signal);
    await power.setBootDevice(machine, 'pxe');
    assert.equal(power.observed(machine.id, minutes(1))?.state, 'on');
    const moved = { ...machine, bmc: { ...machine.bmc!, host: '192.0.2.99' } };
    bmc.state = () => Promise.reject(new Error('no answer'));
    await assert.rejects(power.poll(moved, signal));
    assert.equal(power.observed(machine.id, minutes(1)), null);
    await power.ensureBootDevice(moved, 'pxe');
    assert.equal(sets, 2, 'the new BMC was told nothing yet');
  });

  // A boot device counted as set just now when it was read back just now, and after a power cycle that had used it up.
  it('is no boot device that the BMC may have forgotten', async () => {
    const clock = new ManualClock();
    let sets = 0;
    let slow = false;
    const bmc: Partial<Bmc> = {
      setBootDevice: async () => {
        sets += 1;
        // The reading back takes its time.
        if (slow) await clock.advance(seconds(40));
        return { summary: 'set', verified: true, data: {} };
      },
      cycle: async () => undefined,
    };
    const power = serviceFor(bmc, clock);
    const machine = sample(1);
    await power.setBootDevice(machine, 'pxe');
    await power.ensureBootDevice(machine, 'pxe');
    assert.equal(sets, 1, 'it was set just now');
    await power.cycle(machine);
    await power.ensureBootDevice(machine, 'pxe');
    assert.equal(sets, 2, 'the cycle used it up');
    slow = true;
    await power.setBootDevice(machine, 'pxe');
    await power.ensureBootDevice(machine, 'pxe');
    assert.equal(sets, 4, 'it was set 40 seconds ago');
  });
});
