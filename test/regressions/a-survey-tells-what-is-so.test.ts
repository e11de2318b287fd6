import assert from 'node:assert/strict';
import { DeviceError, milliseconds, seconds, type PowerState } from '../../plugin-api/index.ts';
import { timingsSection } from '../../src/config/section/timings.ts';
import type { Machine } from '../../src/core/machine/machine.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import type { Finding } from '../../src/operations/survey/finding.ts';
import { Survey } from '../../src/operations/survey/survey.ts';
import { machine, operation } from '../store/samples.ts';
import { tempStorage, type TempStorage } from '../support/temp-storage.ts';

describe('what a survey tells of machines', () => {
  let temp: TempStorage;
  let power: (machine: Machine) => Promise<PowerState | null>;

  beforeEach(async () => {
    temp = await tempStorage();
    power = async ({ power: known }) => known?.state ?? 'off';
    await temp.storage.run(async (tx) => {
      for (const n of [1, 2])
        await tx.machines.insert(
          machine(n, { state: 'ready', power: { state: 'off', at: 5 }, quarantine: null }),
        );
    });
  });

  afterEach(() => temp.close());

  async function findings(): Promise<readonly Finding[]> {
    const survey = new Survey({
      ...{ storage: temp.storage, clock: new SystemClock(), timings: timingsSection.parse({}), checks: [] },
      reader: { power: (one) => power(one), ports: () => assert.fail('no switch is there') },
      limits: {
        ...{ bmcs: 2, switches: 2, bmcTimeout: seconds(5), switchTimeout: seconds(5) },
        checkTimeout: milliseconds(200),
      },
    });
    return (await survey.take({ scope: '*' })).findings;
  }

  // Devices were compared with what was stored before they were read: an operation that began meanwhile, and even one that had ended
  // again, was told as a machine that somebody had switched, or a port that somebody had moved.
  it('is nothing of what an operation does there while devices are read', async () => {
    power = async (one) => {
      await temp.storage.run(async (tx) => {
        await tx.history.advance(one.id);
        await tx.journal.insert(operation(`op-${one.id}`, one.id === machine(1).id ? 1 : 2));
        if (one.id !== machine(1).id) return;
        const record = (await tx.journal.active(one.id))!;
        await tx.journal.update({ ...record, state: 'done', endedAt: 7 });
      });
      return 'on';
    };
    const told = (await findings()).filter(({ code }) => code !== 'operation.late');
    assert.deepEqual(told, []);
  });

  // The alarm of one machine was left out because another one was in quarantine for the same.
  it('is the alarm of a machine also when another one is in quarantine for the same', async () => {
    const at = Date.now();
    const code = 'operation.deadline';
    await temp.storage.run(async (tx) => {
      const first = (await tx.machines.find(machine(1).id))!;
      const quarantine = { code, reason: 'why', fenced: false, since: 9 };
      await tx.machines.update({ ...first, quarantine });
      await tx.alarms.insert({ id: 'al-1', at, code, machineId: machine(2).id, text: 'its own' });
    });
    const told = (await findings()).filter((one) => one.code === 'alarm.recent');
    assert.deepEqual(told.map(({ what }) => what), [`its own [${code}]`]); // prettier-ignore
  });

  // A BMC that a person had withheld, and that was silent too, was told as in quarantine for its silence: nobody read what the person
  // had said, and everybody waited for a check that would never end it.
  it('is what a person said of a device, besides what is wrong with it', async () => {
    power = () => Promise.reject(new DeviceError({ code: 'power.unreachable', what: 'no answer' }));
    await temp.storage.run((tx) =>
      tx.quarantines.put({
        ...{ kind: 'bmc', name: machine(1).id, code: 'quarantine.by-person', reason: 'anna: is replaced' },
        ...{ since: 3, by: 'anna', count: 1, lastAt: 3, liftedAt: null, liftedBy: null, liftedBecause: null },
      }),
    );
    const mine = (await findings()).filter(({ machineId }) => machineId === machine(1).id);
    assert.deepEqual(mine.map(({ code }) => code).sort(), ['bmc.unreachable', 'device.withheld']);
    const [withheld] = mine.filter(({ code }) => code === 'device.withheld');
    assert.match(withheld!.what, /in quarantine by anna.*anna: is replaced/);
    assert.equal(withheld!.by, 'anna');
    assert.doesNotMatch(mine.map(({ what }) => what).join(), /in quarantine for it/);
  });

  // The erase after a failed Start that could not be begun (the database was away) is begun at the next start of the service; until then
  // the machine was `failed`, nobody did anything, and the doctor found nothing.
  it('is that nothing is done about a machine that is neither ready nor in use', async () => {
    await temp.storage.run(async (tx) => {
      for (const n of [3, 4])
        await tx.machines.insert(
          machine(n, { state: n === 3 ? 'failed' : 'erasing', clean: null, quarantine: null }),
        );
      await tx.journal.insert(operation('op-4', 4));
    });
    const told = (await findings()).filter(({ code }) => code === 'machine.stuck');
    assert.deepEqual(told.map(({ where }) => where), [machine(3).hostname]); // prettier-ignore
  });
});
