import assert from 'node:assert/strict';
import { milliseconds, minutes, Secret, seconds, type PowerState } from '../../../plugin-api/index.ts';
import type { Machine, MachineId } from '../../../src/core/machine/machine.ts';
import type { Storage } from '../../../src/core/storage/storage.ts';
import { EventBus } from '../../../src/kernel/events/event-bus.ts';
import { createLog } from '../../../src/kernel/log/log.ts';
import type { OperationEvents } from '../../../src/operations/operation-events.ts';
import { PowerService } from '../../../src/operations/power/power-service.ts';
import type { Timings } from '../../../src/operations/timings.ts';
import { clock, failure, newDriver, onFloor, until, type Floor } from '../../drivers/power/ipmi-fixture.ts';
import { machine as sample, operation } from '../../store/samples.ts';
import { tempStorage } from '../../support/temp-storage.ts';

interface Scene {
  readonly floor: Floor;
  readonly power: PowerService;
  readonly machine: Machine;
  /** Changes that somebody else made, as they were told. */
  readonly told: PowerState[];
  readonly stored: () => Promise<Machine>;
  readonly store: Storage['run'];
  readonly beginOperation: () => Promise<void>;
}

const never = new AbortController().signal;

/** One machine in a real store, with the power service in front of its simulated BMC. */
async function onStage(
  options: Parameters<typeof onFloor>[0] & { readonly known?: PowerState | null },
  test: (scene: Scene) => Promise<void>,
): Promise<void> {
  const database = await tempStorage();
  const { storage } = database;
  try {
    await onFloor(options, async (floor) => {
      const events = new EventBus<OperationEvents>();
      const told: PowerState[] = [];
      events.on('power', ({ state }) => told.push(state));
      const driver = newDriver(options.settings);
      const power = new PowerService({
        drivers: new Map([['ipmi', driver]]),
        storage,
        clock,
        timings: { powerOn: seconds(5), powerOff: seconds(5) } as Timings,
        log: createLog({ level: 'silent' }),
        events,
        makeWay: milliseconds(20),
      });
      const { known = 'off' } = options;
      const machine = sample(1, {
        power: known && { state: known, at: 1 },
        bmc: {
          ...sample(1).bmc!,
          host: '127.0.0.1',
          port: floor.port,
          username: 'admin',
          password: new Secret('password'),
          kg: null,
          knownSuite: null,
        },
      });
      await storage.run((tx) => tx.machines.insert(machine));
      const stored = async (): Promise<Machine> => (await storage.run((tx) => tx.machines.find(machine.id)))!;
      try {
        const beginOperation = (): Promise<void> =>
          storage.run((tx) => tx.journal.insert(operation('op-1', 1)));
        const store: Storage['run'] = (work) => storage.run(work);
        await test({ floor, power, machine: await stored(), told, stored, store, beginOperation });
      } finally {
        await power.close();
      }
    });
  } finally {
    await database.close();
  }
}

describe('power service', () => {
  it('keeps what was read for reports, and stores only changes', () =>
    onStage({}, async ({ power, machine, stored, told }) => {
      assert.equal(power.observed(machine.id, minutes(1)), null);
      const { version } = await stored();
      assert.equal(await power.poll(machine, never), 'off');
      assert.equal(await power.poll(machine, never), 'off');
      assert.equal(power.observed(machine.id, minutes(1))?.state, 'off');
      assert.equal(power.observed('other' as MachineId, minutes(1)), null);
      assert.equal((await stored()).version, version);
      await power.turn(machine, 'on');
      assert.equal(power.observed(machine.id, minutes(1))?.state, 'on');
      assert.equal((await stored()).power?.state, 'on');
      assert.deepEqual(told, []);
    }));

  it('leaves it to the caller to store what its command did, with something else, and misses nothing if that fails', () =>
    onStage({}, async ({ power, machine, stored, store, told }) => {
      const { evidence, commit } = await power.turned(machine, 'on');
      assert.ok(evidence.verified);
      assert.equal((await stored()).power?.state, 'off');
      const failed = store(async (tx) => {
        await commit(tx);
        throw new Error('not stored');
      });
      await assert.rejects(failed, /not stored/);
      assert.equal((await stored()).power?.state, 'off');
      await store(commit);
      assert.equal((await stored()).power?.state, 'on');
      await power.poll(machine, never);
      assert.deepEqual(told, []);
    }));

  it('does not report what is too old', () =>
    onStage({}, async ({ power, machine }) => {
      await power.poll(machine, never);
      await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(power.observed(machine.id, milliseconds(1)), null);
      assert.notEqual(power.observed(machine.id, minutes(1)), null);
    }));

  it('tells of a change that somebody else made, once', () =>
    onStage({}, async ({ floor, power, machine, told, stored }) => {
      await power.poll(machine, never);
      floor.host.control('on', { device: 'none', efi: false });
      await until(() => floor.host.power() === 'on');
      assert.equal(await power.poll(machine, never), 'on');
      assert.equal(await power.poll(machine, never), 'on');
      assert.deepEqual(told, ['on']);
      assert.equal((await stored()).power?.state, 'on');
    }));

  it('tells of a change that was made while the service was down', () =>
    onStage({ known: 'on' }, async ({ power, machine, told }) => {
      await power.poll(machine, never);
      assert.deepEqual(told, ['off']);
    }));

  it('tells nothing at the first contact, and nothing while an operation runs', async () => {
    await onStage({ known: null }, async ({ power, machine, told }) => {
      await power.poll(machine, never);
      assert.deepEqual(told, []);
    });
    await onStage({ known: 'on' }, async ({ power, machine, told, beginOperation, stored }) => {
      await beginOperation();
      await power.poll(machine, never);
      assert.deepEqual(told, []);
      assert.equal((await stored()).power?.state, 'off');
    });
  });

  it('forgets what was seen before a power command whose outcome it does not know', () =>
    onStage({ power: 'on', known: 'on' }, async ({ floor, power, machine }) => {
      await power.poll(machine, never);
      await power.soft(machine);
      assert.equal(power.observed(machine.id, minutes(1)), null);
      await until(() => floor.host.power() === 'off');
      await power.poll(machine, never);
      assert.equal(power.observed(machine.id, minutes(1))?.state, 'off');
    }));

  it('does not believe a reading that began before a power command', () =>
    onStage({ power: 'off' }, async ({ floor, power, machine, told }) => {
      await power.poll(machine, never);
      // The reading's answer is under way when the command comes, and arrives after it.
      floor.bmc.behave({ delayMs: 50 });
      const reading = power.poll(machine, never);
      await power.turn(machine, 'on');
      await reading;
      assert.equal(power.observed(machine.id, minutes(1))?.state, 'on');
      assert.deepEqual(told, []);
    }));

  it('lets a command go before a reading of a silent BMC', () =>
    onStage(
      { settings: { answerTimeouts: [8_000, 8_000], closeTimeout: 50 } },
      async ({ floor, power, machine }) => {
        floor.bmc.behave({ dead: true });
        const reading = power.poll(machine, never);
        await until(() => (floor.bmc.counters['received'] ?? 0) > 0);
        floor.bmc.heal();
        const began = performance.now();
        assert.equal(await power.state(machine), 'off');
        assert.ok(performance.now() - began < 6_000, 'the command waited for the reading');
        assert.equal(await reading, null);
        // A BMC that a command has is left alone.
        const busy = power.turn(machine, 'on');
        assert.equal(await power.poll(machine, never), null);
        await busy;
      },
    ));

  it('passes on why a BMC cannot be read, and reaches it all the same for a person', () =>
    onStage({}, async ({ floor, power, machine }) => {
      const reached: MachineId[] = [];
      const end = power.onReached((id) => reached.push(id));
      floor.bmc.behave({ dead: true });
      await failure('power.unreachable', power.poll(machine, never));
      await failure('power.unreachable', power.state(machine));
      assert.deepEqual(reached, []);
      floor.bmc.heal();
      await power.state(machine);
      assert.deepEqual(reached, [machine.id]);
      end();
      await power.state(machine);
      assert.equal(reached.length, 1);
    }));
});
