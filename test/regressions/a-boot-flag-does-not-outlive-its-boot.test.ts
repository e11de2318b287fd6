import assert from 'node:assert/strict';
import { milliseconds, minutes, seconds, type Bmc, type PowerDriver } from '../../plugin-api/index.ts';
import { ManualClock } from '../../src/kernel/clock/manual-clock.ts';
import { EventBus } from '../../src/kernel/events/event-bus.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { PowerService } from '../../src/operations/power/power-service.ts';
import type { StepRun } from '../../src/operations/journal/step.ts';
import { powerOn } from '../../src/operations/steps/power-steps.ts';
import type { Timings } from '../../src/operations/timings.ts';
import { machine as sample } from '../store/samples.ts';
import { tempStorage } from '../support/temp-storage.ts';

// A BMC forgets the boot device within a minute, and the boot before has used it up. A service that died or was stopped between the boot device
// and the power-on, or whose first power-on was not confirmed, switched the machine on without setting it again: a machine that was
// to be erased booted the system that was on it, in the provisioning network.
describe('a machine that is switched on to boot from the network', () => {
  const clock = new ManualClock();
  const machine = sample(1);
  let sent: string[];
  let unconfirmed: number;
  let database: Awaited<ReturnType<typeof tempStorage>>;

  beforeEach(async () => {
    sent = [];
    unconfirmed = 0;
    database = await tempStorage();
    await database.storage.run((tx) => tx.machines.insert(machine));
  });
  afterEach(() => database.close());

  /** As a process has it from its start on. */
  function service(): PowerService {
    const bmc: Partial<Bmc> = {
      state: async () => 'off',
      turn: async (wanted) => {
        sent.push(wanted);
        if (unconfirmed-- > 0) throw new Error('not confirmed');
        return { summary: wanted, verified: true };
      },
      setBootDevice: async ({ device }) => {
        sent.push(device);
        return { summary: device, verified: true };
      },
    };
    return new PowerService({
      drivers: new Map([[machine.bmc!.driver, { open: () => bmc } as unknown as PowerDriver]]),
      storage: database.storage,
      clock,
      timings: { powerOn: seconds(5), powerOff: seconds(5) } as Timings,
      log: createLog({ level: 'silent' }),
      events: new EventBus(),
      makeWay: milliseconds(20),
    });
  }

  const switchOn = (power: PowerService): Promise<unknown> =>
    powerOn('erase.power-on', { from: 'pxe' }).run({
      world: { power },
      signal: new AbortController().signal,
      machine: async () => machine,
    } as unknown as StepRun);

  it('is told once where nothing comes between', async () => {
    const power = service();
    await power.setBootDevice(machine, 'pxe');
    await switchOn(power);
    assert.deepEqual(sent, ['pxe', 'on']);
  });

  it('is told again by another process, after a while, and after a power-on that nobody confirmed', async () => {
    const power = service();
    await power.setBootDevice(machine, 'pxe');
    await switchOn(service());
    assert.deepEqual(sent, ['pxe', 'pxe', 'on']);
    await clock.advance(minutes(1));
    await switchOn(power);
    assert.deepEqual(sent.slice(3), ['pxe', 'on']);
    unconfirmed = 1;
    await assert.rejects(switchOn(power));
    await switchOn(power);
    assert.deepEqual(sent.slice(5), ['pxe', 'on', 'pxe', 'on']);
  });
});
