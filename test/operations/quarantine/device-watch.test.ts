import assert from 'node:assert/strict';
import {
  DeviceError,
  minutes,
  seconds,
  type DeviceCode,
  type ObservedPort,
} from '../../../plugin-api/index.ts';
import type { QuarantineRecord, SubjectKind } from '../../../src/core/quarantine/quarantine.ts';
import type { PortPlace } from '../../../src/core/rack/wiring.ts';
import type { Storage } from '../../../src/core/storage/storage.ts';
import { ManualClock } from '../../../src/kernel/clock/manual-clock.ts';
import { createLog } from '../../../src/kernel/log/log.ts';
import { Metrics } from '../../../src/kernel/metrics/metrics.ts';
import { DeviceChecks } from '../../../src/operations/quarantine/device-checks.ts';
import { DeviceWatch } from '../../../src/operations/quarantine/device-watch.ts';
import { defaultQuarantineSettings } from '../../../src/operations/quarantine/quarantine-settings.ts';
import { endQuarantine, enterQuarantine } from '../../../src/operations/quarantine/withhold.ts';
import { machine, port, switchRecord } from '../../store/samples.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';

const failure = (code: DeviceCode): DeviceError => new DeviceError({ code, what: 'a test' });
const asDesired: ObservedPort = {
  native: 100 as never,
  tagged: [],
  admin: 'up',
  prepared: true,
  guarded: null,
};

describe('device watch', () => {
  let temp: TempStorage;
  let clock: ManualClock;
  let watch: DeviceWatch;
  let checks: DeviceChecks;
  /** What the switch says now; an error = it cannot be opened. */
  let reading: ObservedPort | DeviceError;
  let readings: number;
  const log = createLog({ level: 'silent' });
  const metrics = new Metrics();
  const settings = defaultQuarantineSettings;

  beforeEach(async () => {
    temp = await tempStorage();
    clock = new ManualClock();
    const { storage } = temp;
    watch = new DeviceWatch({ storage, clock, log, metrics, settings });
    reading = asDesired;
    readings = 0;
    const ports = {
      observe: async (places: readonly PortPlace[]) => {
        readings += 1;
        if (reading instanceof DeviceError) throw reading;
        return places.map((place) => ({ place, observed: reading as ObservedPort }));
      },
      bringUpToDate: () => Promise.reject(failure('switch.timeout')),
    };
    checks = new DeviceChecks({ storage, clock, log, ports, watch, settings });
    await storage.run(async (tx) => {
      await tx.machines.insert(machine(1));
      const wire = { switch: 'tor-a', port: port('te1'), mac: machine(1).nics[0]!.mac, server: null };
      await tx.racks.replace('{}', [switchRecord('tor-a', { unsavedSince: null })], [wire]);
      const desired = { native: 100 as never, tagged: [], admin: 'up' as const };
      const record = {
        switch: 'tor-a',
        port: port('te1'),
        machineId: null,
        purpose: 'provisioning' as const,
      };
      await tx.ports.desire({ ...record, desired });
    });
  });
  afterEach(() => temp.close());

  const of = async (kind: SubjectKind, name: string): Promise<readonly QuarantineRecord[]> => {
    await watch.settled();
    return temp.storage.run((tx) => tx.quarantines.ofSubject({ kind, name }));
  };
  const isIn = async (kind: SubjectKind, name: string): Promise<boolean> =>
    (await of(kind, name)).some(({ since }) => since !== null);
  const bmc = machine(1);

  it('takes a BMC for dead after so many failures in a row that lasted so long', async () => {
    for (let n = 1; n < settings.bmcFailures + 3; n += 1) watch.bmcFailed(bmc, failure('power.unreachable'));
    assert.equal(await isIn('bmc', bmc.id), false, 'many at once may be one short trouble');
    await clock.advance(settings.bmcDead);
    watch.bmcAnswered(bmc.id);
    watch.bmcFailed(bmc, failure('power.unreachable'));
    assert.equal(await isIn('bmc', bmc.id), false, 'it answered in between');
    for (let n = 1; n < settings.bmcFailures; n += 1) {
      await clock.advance(minutes(3));
      watch.bmcFailed(bmc, failure('power.unreachable'));
    }
    assert.equal(await isIn('bmc', bmc.id), true);
    watch.bmcFailed(bmc, failure('power.busy'));
    const [record, ...more] = await of('bmc', bmc.id);
    assert.deepEqual([more, record!.code, record!.count], [[], 'power.unreachable', 1], 'once is enough');
  });

  it('needs no second refusal of a login, and what is no fault of a BMC is none', async () => {
    for (let n = 0; n < 20; n += 1) {
      await clock.advance(minutes(10));
      watch.bmcFailed(bmc, failure('switch.timeout'));
    }
    assert.equal(await isIn('bmc', bmc.id), false);
    watch.bmcFailed(bmc, failure('power.auth'));
    assert.equal(await isIn('bmc', bmc.id), true);
  });

  it('counts up each time, and leaves what a person said alone', async () => {
    const person = { by: 'anna', code: 'quarantine.by-person', reason: 'being replaced', label: 'BMC' };
    const subject = { kind: 'bmc', name: bmc.id } as const;
    const world = { clock, log, metrics };
    await temp.storage.run((tx) => enterQuarantine(tx, world, { ...person, subject, machineId: bmc.id }));
    for (const count of [1, 2, 3]) {
      watch.bmcFailed(bmc, failure('power.auth'));
      assert.equal((await of('bmc', bmc.id)).find(({ code }) => code === 'power.auth')!.count, count);
      watch.bmcAnswered(bmc.id);
      const [latest] = (await of('bmc', bmc.id)).filter(({ code }) => code === 'power.auth');
      assert.deepEqual([latest!.since, latest!.liftedBy], [null, 'csbm']);
    }
    assert.equal(await isIn('bmc', bmc.id), true, 'a person must lift it');
    await temp.storage.run((tx) => endQuarantine(tx, world, subject, { by: 'anna', because: 'done' }));
    assert.equal(await isIn('bmc', bmc.id), false);
  });

  it('does not mind what a port shows that no machine is cabled to any more', async () => {
    const reason = { by: 'csbm', code: 'switch.timeout', reason: 'dead', label: 'tor-a', machineId: null };
    const subject = { kind: 'switch', name: 'tor-a' } as const;
    await temp.storage.run((tx) => enterQuarantine(tx, { clock, log, metrics }, { ...reason, subject }));
    reading = { ...asDesired, native: 300 as never };
    await temp.storage.run(async (tx) => {
      const at = (await tx.racks.switches()).map((one) => ({ ...one }));
      await tx.racks.replace('{}', at, []);
    });
    await checks.look();
    await clock.advance(settings.longestPause);
    await checks.look();
    assert.equal(await isIn('switch', 'tor-a'), false);
  });

  /** Another process on the same database, with a steady clock of its own. */
  const restarted = async (): Promise<void> => {
    await watch.settled();
    const steady = clock;
    clock = new ManualClock(steady.now());
    watch = new DeviceWatch({ storage: temp.storage, clock, log, metrics, settings });
  };

  it('lifts what another instance found', async () => {
    const { storage } = temp;
    const other = new DeviceWatch({ storage, clock, log, metrics, settings });
    other.bmcFailed(bmc, failure('power.auth'));
    await other.settled();
    await watch.refresh();
    watch.bmcAnswered(bmc.id);
    other.bmcAnswered(bmc.id);
    await other.settled();
    assert.deepEqual(
      (await of('bmc', bmc.id)).map(({ since, count }) => [since, count]),
      [[null, 1]],
    );
  });

  it('finds a switch dead without anybody who wants something of it, and looks at it ever more seldom', async () => {
    reading = failure('switch.unreachable');
    watch.switchFailed('tor-a', failure('switch.unreachable'));
    const looks: number[] = [];
    for (let n = 0; n < 60; n += 1) {
      const before = readings;
      await clock.advance(settings.checkInterval);
      await checks.look();
      if (readings > before) looks.push(n);
    }
    assert.equal(await isIn('switch', 'tor-a'), true);
    const pauses = looks.slice(1).map((at, i) => at - looks[i]!);
    assert.deepEqual(
      pauses,
      [...pauses].sort((a, b) => a - b),
      'never shorter',
    );
    assert.equal(pauses.at(-1), settings.longestPause / settings.checkInterval);
    reading = asDesired;
    for (let n = 0; n < 16; n += 1) {
      await clock.advance(settings.checkInterval);
      await checks.look();
    }
    assert.equal(await isIn('switch', 'tor-a'), false);
  });

  it('frees a switch only when everything is as desired and saved', async () => {
    for (let n = 0; n < settings.switchFailures; n += 1) {
      watch.switchFailed('tor-a', failure('switch.unsaved'));
      await clock.advance(settings.switchDead);
    }
    assert.equal(await isIn('switch', 'tor-a'), true);
    const looked = async (): Promise<boolean> => {
      await clock.advance(settings.longestPause);
      await checks.look();
      return isIn('switch', 'tor-a');
    };
    await checks.look();
    reading = { ...asDesired, native: 999 as never };
    assert.equal(await looked(), true, 'a port is not as desired');
    reading = asDesired;
    const unsaved = (unsavedSince: number | null) =>
      temp.storage.run(async (tx) =>
        tx.racks.updateSwitch({ ...(await tx.racks.findSwitch('tor-a'))!, unsavedSince }),
      );
    await unsaved(1);
    assert.equal(await looked(), true, 'it is not saved');
    await unsaved(null);
    assert.equal(await looked(), false);
  });

  it('holds a port that keeps failing longer each time', async () => {
    const bad = { port: port('te1'), observed: asDesired, asDesired: false };
    const missed = async (): Promise<void> => {
      for (let n = 0; n < settings.portFailures; n += 1) {
        await clock.advance(seconds(10));
        watch.portsRead('tor-a', [bad, { ...bad, port: port('te2'), asDesired: true }]);
      }
      assert.equal(await isIn('port', 'tor-a te1'), true);
      assert.equal(await isIn('port', 'tor-a te2'), false);
    };
    const held: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      await missed();
      await checks.look();
      let looks = 0;
      do {
        await clock.advance(settings.checkInterval);
        await checks.look();
        looks += 1;
      } while (await isIn('port', 'tor-a te1'));
      held.push(looks);
    }
    assert.deepEqual(held, [1, 2, 4]);
    assert.equal((await of('port', 'tor-a te1'))[0]!.count, 3);
  });

  it('counts on after a restart: BMC, switch and port', async () => {
    const bad = { port: port('te1'), observed: null, asDesired: false };
    for (let n = 1; n < settings.bmcFailures; n += 1) {
      watch.bmcFailed(bmc, failure('power.unreachable'));
      watch.portsRead('tor-a', [bad]);
      await watch.settled();
      await clock.advance(minutes(3));
      await restarted();
    }
    assert.deepEqual([await isIn('bmc', bmc.id), await isIn('port', 'tor-a te1')], [false, false]);
    watch.bmcFailed(bmc, failure('power.unreachable'));
    watch.portsRead('tor-a', [bad]);
    // Time that nobody looked on does not count: what passed after its last failure each process took with it.
    assert.deepEqual([await isIn('bmc', bmc.id), await isIn('port', 'tor-a te1')], [false, true]);
    await clock.advance(settings.bmcDead);
    watch.bmcFailed(bmc, failure('power.unreachable'));
    assert.equal(await isIn('bmc', bmc.id), true);

    for (let n = 1; n < settings.switchFailures; n += 1)
      watch.switchFailed('tor-a', failure('switch.timeout'));
    await restarted();
    await watch.refresh();
    assert.deepEqual(watch.switchesInTrouble(), ['tor-a'], 'looked at again without a command');
    await clock.advance(settings.switchDead);
    watch.switchFailed('tor-a', failure('switch.timeout'));
    assert.equal(await isIn('switch', 'tor-a'), true);
  });

  it('counts for all instances together, and the first success ends it for all', async () => {
    const { storage } = temp;
    const other = new DeviceWatch({ storage, clock, log, metrics, settings });
    const both = [watch, other];
    for (let n = 1; n < settings.bmcFailures; n += 1) {
      both[n % 2]!.bmcFailed(bmc, failure('power.unreachable'));
      await both[n % 2]!.settled();
      await clock.advance(minutes(1));
    }
    await watch.refresh();
    watch.bmcAnswered(bmc.id);
    await watch.settled();
    await clock.advance(settings.bmcDead);
    other.bmcFailed(bmc, failure('power.unreachable'));
    await other.settled();
    assert.equal(await isIn('bmc', bmc.id), false, 'it answered in between');
    for (let n = 1; n < settings.bmcFailures; n += 1) {
      await clock.advance(minutes(3));
      both[n % 2]!.bmcFailed(bmc, failure('power.unreachable'));
      await both[n % 2]!.settled();
      for (const one of both) await one.refresh();
    }
    assert.equal(await isIn('bmc', bmc.id), true);
    const left = await storage.run((tx) => tx.quarantines.troubles());
    assert.deepEqual(left, [], 'what led to a quarantine is not counted again');
  });

  it('forgets what an earlier process counted at the first success, also before it has read it', async () => {
    watch.bmcFailed(bmc, failure('power.unreachable'));
    await restarted();
    watch.bmcAnswered(bmc.id);
    await watch.settled();
    assert.deepEqual(await temp.storage.run((tx) => tx.quarantines.troubles()), []);
  });

  it('writes when something fails, once it works again, and never because something works', async () => {
    let units = 0;
    const storage: Storage = {
      run: (work) => {
        units += 1;
        return temp.storage.run(work);
      },
      close: () => Promise.resolve(),
    };
    watch = new DeviceWatch({ storage, clock, log, metrics, settings });
    await watch.refresh();
    const well = { port: port('te1'), observed: asDesired, asDesired: true };
    const work = async (): Promise<number> => {
      const before = units;
      for (let n = 0; n < 100; n += 1) {
        watch.bmcAnswered(bmc.id);
        watch.switchAnswered('tor-a');
        watch.portsRead('tor-a', [well]);
      }
      await watch.settled();
      return units - before;
    };
    assert.equal(await work(), 0);
    for (let n = 0; n < 100; n += 1) watch.bmcFailed(machine(n + 1), failure('power.unreachable'));
    await watch.settled();
    assert.ok(units <= 5, `many that fail at once are written together: ${units} units`);
    assert.equal(await work(), 1);
    assert.equal(await work(), 0);
  });

  it('keeps what it cannot write', async () => {
    let away = true;
    const storage: Storage = {
      run: (work) => (away ? Promise.reject(new Error('the database is away')) : temp.storage.run(work)),
      close: () => Promise.resolve(),
    };
    watch = new DeviceWatch({ storage, clock, log, metrics, settings });
    for (let n = 1; n < settings.switchFailures; n += 1) {
      watch.switchFailed('tor-a', failure('switch.timeout'));
      await watch.settled();
      await clock.advance(settings.switchDead);
    }
    away = false;
    watch.switchFailed('tor-a', failure('switch.timeout'));
    assert.equal(await isIn('switch', 'tor-a'), true);
  });

  it('forgets misses that are long ago, and frees what is no longer in the rack config', async () => {
    const bad = { port: port('te1'), observed: null, asDesired: false };
    for (let n = 0; n < 3 * settings.portFailures; n += 1) {
      watch.portsRead('tor-a', [bad]);
      await clock.advance(settings.portWithin);
    }
    assert.equal(await isIn('port', 'tor-a te1'), false);
    for (let n = 0; n < settings.portFailures; n += 1) watch.portsRead('tor-a', [bad]);
    assert.equal(await isIn('port', 'tor-a te1'), true);
    await temp.storage.run((tx) => tx.racks.replace('{}', [], []));
    await checks.look();
    await clock.advance(settings.longestPause);
    await checks.look();
    assert.equal(await isIn('port', 'tor-a te1'), false);
  });
});
