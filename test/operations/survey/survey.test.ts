import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  DeviceError,
  milliseconds,
  parseMac,
  seconds,
  type ObservedSwitch,
  type PortId,
  type PowerState,
  type VlanId,
} from '../../../plugin-api/index.ts';
import { timingsSection } from '../../../src/config/section/timings.ts';
import type { Machine } from '../../../src/core/machine/machine.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { lateness } from '../../../src/operations/survey/lateness.ts';
import type { DeviceReader } from '../../../src/operations/survey/read-devices.ts';
import { Survey } from '../../../src/operations/survey/survey.ts';
import {
  diskCheck,
  engineCheck,
  keyFileCheck,
  linksCheck,
  type SurroundingsCheck,
} from '../../../src/operations/survey/surroundings.ts';
import { machine, operation, step, switchRecord } from '../../store/samples.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';

const clock = new SystemClock();
const timings = timingsSection.parse({});
const port = 'TenGigabitEthernet 1/1' as PortId;
const vlan = (id: number): VlanId => id as VlanId;
const everything = { scope: '*' };

describe('a survey', () => {
  let temp: TempStorage;
  let asked: number;
  let power: (machine: Machine, signal: AbortSignal) => Promise<PowerState | null>;
  let ports: DeviceReader['ports'];

  beforeEach(async () => {
    temp = await tempStorage();
    asked = 0;
    power = async ({ power: known }) => known?.state ?? 'off';
    ports = async () => seen({ native: vlan(100) });
  });

  afterEach(() => temp.close());

  const seen = (now: { native: VlanId | 'default' | null }): ObservedSwitch => ({
    defaultVlan: vlan(1),
    ports: new Map([[port, { ...now, tagged: [], admin: 'up', prepared: true, guarded: null }]]),
    vlans: new Map(),
    unsaved: null,
  });

  const survey = (checks: readonly SurroundingsCheck[] = []): Survey =>
    new Survey({
      storage: temp.storage,
      clock,
      timings,
      reader: {
        power: (one, signal) => {
          asked += 1;
          return power(one, signal);
        },
        ports: (name, list) => ports(name, list),
      },
      limits: {
        bmcs: 2,
        switches: 2,
        bmcTimeout: milliseconds(200),
        switchTimeout: milliseconds(200),
        checkTimeout: milliseconds(200),
      },
      checks,
    });

  /** Two free machines in two pools, the first cabled to a switch. */
  async function floor(more: Partial<Machine> = {}): Promise<void> {
    await temp.storage.run(async (tx) => {
      const first = machine(1, {
        state: 'ready',
        power: { state: 'off', at: 5 },
        quarantine: null,
        pool: 'a',
        ...more,
      });
      await tx.machines.insert(first);
      await tx.machines.insert(
        machine(2, { state: 'ready', power: { state: 'off', at: 5 }, quarantine: null, pool: 'b' }),
      );
      const wire = { switch: 'tor-a', port, mac: parseMac(first.nics[0]!.mac), server: null };
      await tx.racks.replace('text', [switchRecord('tor-a', { uplinks: [], unsavedSince: null })], [wire]);
      const desired = { native: vlan(100), tagged: [], admin: 'up' } as const;
      const record = await tx.ports.desire({
        switch: 'tor-a',
        port,
        machineId: first.id,
        purpose: 'provisioning',
        desired,
      });
      const observed = seen({ native: vlan(100) }).ports.get(port)!;
      await tx.ports.observe({
        switch: 'tor-a',
        port,
        observed,
        observedVersion: record.desiredVersion,
        observedAt: 7,
      });
    });
  }

  const codes = async (reader = everything, one = survey()): Promise<string[]> =>
    (await one.take(reader)).findings.map(({ code, where }) => `${code} ${where.split(' (')[0]!}`);

  it('finds nothing where everything is as it is stored', async () => {
    await floor();
    assert.deepEqual(await codes(), []);
  });

  it('tells a silent device and one that answers too late, and waits for neither', async () => {
    await floor();
    power = async (one, signal) => {
      if (one.hostname === machine(1).hostname)
        throw new DeviceError({ code: 'power.unreachable', what: 'no answer', said: 'nothing' });
      return new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason as Error)),
      );
    };
    ports = () => new Promise(() => undefined);
    const { findings } = await survey().take(everything);
    assert.deepEqual(findings.map(({ code }) => code).sort(), [
      'bmc.unreachable',
      'bmc.unreachable',
      'switch.unreachable',
    ]);
    assert.equal(findings.find(({ where }) => where.includes(machine(1).hostname))?.said, 'nothing');
  });

  it('says nothing of a BMC that commands have all the time', async () => {
    await floor();
    power = async () => null;
    assert.deepEqual(await codes(), []);
  });

  it('tells a machine that is on and free, one that is not as it was known, and a moved port', async () => {
    await floor();
    power = async () => 'on';
    ports = async () => seen({ native: 'default' });
    assert.deepEqual((await codes()).sort(), [
      `port.drifted port tor-a ${port}`,
      `power.unexpected ${machine(1).hostname}`,
      `power.unexpected ${machine(2).hostname}`,
    ]);
  });

  it('tells to each what lies within the scope', async () => {
    await floor({ quarantine: { code: 'power.unreachable', reason: 'why', fenced: false, since: 9 } });
    power = async () => 'on';
    ports = async () => seen({ native: null });
    const open = path.join(mkdtempSync(path.join(tmpdir(), 'csbm-key-')), 'key');
    writeFileSync(open, 'x');
    chmodSync(open, 0o644);
    const one = survey([keyFileCheck(open)]);
    assert.deepEqual(await codes({ scope: 'pool:b' }, one), [`power.unexpected ${machine(2).hostname}`]);
    const whole = await codes(everything, one);
    assert.ok(
      whole.includes(`key-file.open ${open}`) && whole.includes(`machine.withheld ${machine(1).hostname}`),
    );
    rmSync(path.dirname(open), { recursive: true });
  });

  it('asks no device when it shall be quick, and asks each once for several who want to know', async () => {
    await floor();
    const one = survey();
    await one.take(everything, { quick: true });
    assert.equal(asked, 0);
    const progress: string[] = [];
    await Promise.all([
      one.take(everything, { onProgress: ({ last }) => progress.push(last) }),
      one.take(everything),
    ]);
    assert.equal(asked, 2);
    assert.equal(progress.length, 3);
  });

  it('tells a check that fails or does not end as what it looks at', async () => {
    const failing = {
      type: 'maas',
      images: () => Promise.reject(new DeviceError({ code: 'maas.unreachable', what: 'no answer' })),
    };
    const silent = { type: 'maas:two', images: () => new Promise<never>(() => undefined) };
    assert.deepEqual(
      await codes(everything, survey([engineCheck(failing as never), engineCheck(silent as never)])),
      ['engine.unreachable the engine maas', 'engine.unreachable the engine maas:two'],
    );
  });

  it('tells a full disk, and one server that is down once, whatever the number of its links', async () => {
    const link = (n: number, state: string) => ({
      machineId: `m${n}`,
      state,
      since: 10,
      server: 'ms:8250',
      reason: state === 'up' ? null : 'connection refused',
    });
    const links = [link(1, 'waiting'), link(2, 'waiting'), link(3, 'up')];
    const checks = [
      diskCheck([tmpdir(), '/there/is/no/such/folder'], { percent: 100, bytes: 2 ** 60 }),
      diskCheck([tmpdir()], { percent: 0, bytes: 0 }),
      linksCheck(() => links, clock, seconds(1)),
    ];
    const { findings } = await survey(checks).take(everything);
    assert.deepEqual(
      findings.map(({ code }) => code),
      ['disk.low', 'cloudstack.link'],
    );
    assert.match(findings[1]!.what, /2 machines have no link/);
  });
});

describe('whether an operation is late', () => {
  const began = 1_000_000;
  const running = (name: string, more: object = {}) => ({
    operation: operation('op-1', 1, { createdAt: began, deadlineAt: began + 3_600_000 }),
    step: step('op-1', 0, {
      name,
      state: 'intent',
      startedAt: began,
      direction: 'do',
      attempt: 1,
      ...more,
    } as never),
    boot: null,
  });
  const after = (time: number): number => began + time;

  it('is said of no step that takes its usual time', () => {
    assert.equal(lateness(running('ports.tenant'), timings, after(60_000)), null);
  });

  it('is said of a step longer than any wait for a device, of an engine, and past the deadline', () => {
    assert.match(
      lateness(running('ports.tenant'), timings, after(130_000))!.what,
      /at ports\.tenant for 2 m/,
    );
    assert.match(
      lateness(running('deploy.wait'), timings, after(timings.deploy * 0.6))!.what,
      /the engine is not done/,
    );
    assert.match(lateness(running('ports.tenant'), timings, after(4_000_000))!.what, /should have ended/);
  });

  it('is said of a machine that does not come up, and of one that fell silent', () => {
    const boot = (lastSeen: number | null) =>
      ({ ...running('deploy.wait'), boot: { lastSeen, activity: 'writing' } }) as never;
    assert.equal(lateness(boot(null), timings, after(timings.bootSeen / 2)), null);
    assert.match(lateness(boot(null), timings, after(timings.bootSeen * 0.6))!.what, /has not asked/);
    assert.equal(lateness(boot(after(50_000)), timings, after(60_000)), null);
    assert.match(
      lateness(boot(after(50_000)), timings, after(50_000 + timings.deployStalled / 4))!.what,
      /no sign of life/,
    );
  });
});
