import assert from 'node:assert/strict';
import {
  milliseconds,
  parseVlanId,
  seconds,
  type ObservedPort,
  type PortId,
  type SwitchDriver,
  type SwitchSession,
  type SwitchStep,
  type VlanId,
} from '../../../plugin-api/index.ts';
import { Deferred } from '../../../src/kernel/concurrency/deferred.ts';
import { ManualClock } from '../../../src/kernel/clock/manual-clock.ts';
import { createLog } from '../../../src/kernel/log/log.ts';
import { Metrics } from '../../../src/kernel/metrics/metrics.ts';
import type { Instances } from '../../../src/operations/instances/instances.ts';
import { PortService, type PortWish } from '../../../src/operations/ports/port-service.ts';
import type { Timings } from '../../../src/operations/timings.ts';
import { machine, port, switchRecord } from '../../store/samples.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';
import { until } from '../../support/until.ts';

const [uplink, access] = [port('up1'), port('p1')];
const red = parseVlanId(200);
const blue = parseVlanId(300);

interface Device {
  readonly ports: Map<PortId, ObservedPort>;
  opened: number;
  readings: number;
  /** What each login, and each change, waits for. */
  door: Promise<unknown>;
  work: Promise<unknown>;
}

/** Two switches that do what they are told. */
class TwoSwitches implements SwitchDriver {
  readonly type = 'Force10';
  readonly #devices = new Map<string, Device>();

  at(name: string): Device {
    const idle = Promise.resolve();
    const device = this.#devices.get(name) ?? {
      ...{ ports: new Map(), opened: 0, readings: 0, door: idle, work: idle },
    };
    this.#devices.set(name, device);
    return device;
  }

  carried(name: string): readonly VlanId[] {
    return this.at(name).ports.get(uplink)?.tagged ?? [];
  }

  async open({ name }: { readonly name: string }): Promise<SwitchSession> {
    const device = this.at(name);
    device.opened += 1;
    await device.door;
    const seen = (id: PortId): ObservedPort =>
      device.ports.get(id) ?? { native: null, tagged: [], admin: 'up', prepared: true, guarded: null };
    return {
      hostKey: 'known',
      read: async (ports) => {
        device.readings += 1;
        const ours = (id: VlanId) => [id, { id, ours: true, description: '', members: [] }] as const;
        return {
          defaultVlan: parseVlanId(1),
          ports: new Map(ports.map((id) => [id, seen(id)])),
          vlans: new Map(seen(uplink).tagged.map(ours)),
          unsaved: null,
        };
      },
      apply: async (steps) => {
        await device.work;
        for (const step of steps) {
          if (step.do === 'delete-vlan') {
            const left = seen(uplink).tagged.filter((vlan) => vlan !== step.vlan);
            device.ports.set(uplink, { ...seen(uplink), tagged: left });
          } else if (step.do === 'add-tagged')
            device.ports.set(step.port, {
              ...seen(step.port),
              tagged: [...seen(step.port).tagged, step.vlan],
            });
          else if (step.do === 'set-native')
            device.ports.set(step.port, { ...seen(step.port), native: step.vlan });
        }
      },
      save: async () => undefined,
      close: async () => undefined,
    };
  }

  plan: SwitchDriver['plan'] = (observed, { ports, uplinks, carried, retired }) => [
    ...uplinks.flatMap((port) =>
      carried
        .filter((vlan) => !observed.ports.get(port)!.tagged.includes(vlan))
        .map((vlan): SwitchStep => ({ do: 'add-tagged', port, vlan })),
    ),
    ...[...ports]
      .filter(([id, { native }]) => observed.ports.get(id)!.native !== native)
      .map(([id, { native }]): SwitchStep => ({ do: 'set-native', port: id, vlan: native as VlanId })),
    ...retired.map((vlan): SwitchStep => ({ do: 'delete-vlan', vlan })),
  ];

  render(): readonly string[] {
    return [];
  }
}

/** A machine on `tor-a`; `tor-b` is another switch of the fabric, and must carry what is used there. */
describe('the other switches of a fabric', () => {
  let temp: TempStorage;
  let clock: ManualClock;
  let devices: TwoSwitches;
  let ports: PortService;

  beforeEach(async () => {
    temp = await tempStorage();
    clock = new ManualClock();
    devices = new TwoSwitches();
    await temp.storage.run(async (tx) => {
      await tx.racks.replace('{}', [switchRecord('tor-a'), switchRecord('tor-b')], []);
      await tx.machines.insert(machine(1));
    });
    const timings: Partial<Timings> = {
      ...{ switchBatchDelay: milliseconds(0), switchBatch: seconds(120), switchIdle: seconds(600) },
    };
    ports = new PortService(new Map([['Force10', devices]]), {
      ...{ storage: temp.storage, clock, timings: timings as Timings, metrics: new Metrics() },
      log: createLog({ level: 'silent' }),
      instances: { shared: false } as unknown as Instances,
    });
  });
  afterEach(async () => {
    await ports.close();
    await temp.close();
  });

  const settle = async (native: VlanId): Promise<void> => {
    const wish: PortWish = {
      ...{ switch: 'tor-a', port: access, purpose: 'tenant' },
      desired: { native, tagged: [], admin: 'up' },
    };
    await temp.storage.run((tx) => ports.desire(tx, machine(1).id, [wish]));
    await ports.settle([wish]);
  };
  const carries = (...vlans: VlanId[]): Promise<void> =>
    until(() => String(devices.carried('tor-b')) === String(vlans), `tor-b to carry ${vlans.join(', ')}`);
  /** Until all that was asked of it has been done. */
  const idle = (): Promise<unknown> => ports.read('tor-b', [uplink]);

  it('carry what is used there, and no more what is not', async () => {
    await settle(red);
    await carries(red);
    await settle(blue);
    await carries(blue);
  });

  it('are left alone for a minute where nothing is to change', async () => {
    await settle(red);
    await carries(red);
    await idle();
    const before = devices.at('tor-b').readings;
    for (let n = 0; n < 5; n += 1) await settle(red);
    await idle();
    assert.equal(devices.at('tor-b').readings, before + 1);
    // Somebody may have taken it away by hand.
    devices.at('tor-b').ports.clear();
    await clock.advance(seconds(61));
    await settle(red);
    await carries(red);
  });

  // For a minute nobody looked: what was known was that the uplinks of before carried it.
  it('carry it on an uplink that a new rack config gives them', async () => {
    await settle(red);
    await carries(red);
    await idle();
    const added = port('up2');
    const other = switchRecord('tor-b', { uplinks: [uplink, added] });
    await temp.storage.run((tx) => tx.racks.replace('{}', [switchRecord('tor-a'), other], []));
    await settle(red);
    assert.deepEqual(devices.at('tor-b').ports.get(added)?.tagged, [red]);
  });

  it('are tried again where something could not be saved', async () => {
    await settle(red);
    await carries(red);
    await idle();
    await temp.storage.run(async (tx) => {
      const stored = (await tx.racks.findSwitch('tor-b'))!;
      await tx.racks.updateSwitch({ ...stored, unsavedSince: 1 });
    });
    await settle(red);
    await until(
      async () => (await temp.storage.run((tx) => tx.racks.findSwitch('tor-b')))!.unsavedSince === null,
      'the save',
    );
  });

  it('carry a VLAN that comes back into use while it is taken away', async () => {
    await settle(red);
    await carries(red);
    await idle();
    const work = new Deferred<void>();
    devices.at('tor-b').work = work.promise;
    await settle(blue);
    await settle(red);
    work.resolve();
    await carries(red);
  });

  it('are asked at most once more, however many want something while they do not answer', async () => {
    const door = new Deferred<void>();
    devices.at('tor-b').door = door.promise;
    for (const vlan of [red, blue, red, blue, red, blue, red]) await settle(vlan);
    door.reject(new Error('it does not answer'));
    await until(() => devices.at('tor-b').opened === 2, 'the second login');
    await idle().catch(() => undefined);
    // The third is that of the reading.
    assert.equal(devices.at('tor-b').opened, 3);
  });
});
