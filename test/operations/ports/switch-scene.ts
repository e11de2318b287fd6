import {
  DeviceError,
  milliseconds,
  os9PortId,
  parseVlanId,
  seconds,
  Secret,
  type DesiredPort,
  type ObservedPort,
  type PortId,
  type SwitchDriver,
  type SwitchSession,
  type SwitchStep,
} from '../../../plugin-api/index.ts';
import type { Switch } from '../../../src/core/rack/wiring.ts';
import { ManualClock } from '../../../src/kernel/clock/manual-clock.ts';
import { createLog } from '../../../src/kernel/log/log.ts';
import { Metrics } from '../../../src/kernel/metrics/metrics.ts';
import type { Instances } from '../../../src/operations/instances/instances.ts';
import { PortService, type PortWish } from '../../../src/operations/ports/port-service.ts';
import type { Timings } from '../../../src/operations/timings.ts';
import { machine } from '../../store/samples.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';

export const te = (n: number): PortId => os9PortId(`Te 1/${n}`);
export const delay = milliseconds(200);
const tenant: DesiredPort = { native: parseVlanId(200), tagged: [], admin: 'up' };
export const at: Switch = {
  ...{ name: 'tor-1', fabric: 'red', park: 'shut', type: 'Force10', transport: 'ssh', host: '127.0.0.1' },
  ...{ tcpPort: 22, username: 'admin', password: new Secret('secret'), enablePassword: null },
  ...{ hostKeyPin: 'known', legacyCrypto: false, uplinks: [], provisioning: 'default-vlan' },
  ...{ defaultVlan: null, unsavedSince: null, version: 1 },
};
const untouched: ObservedPort = { native: 'default', tagged: [], admin: 'up', prepared: true, guarded: null };

/** A switch that does what it is told, and stops at the door, or before it applies anything, while it is told to. */
export class WillingSwitch implements SwitchDriver {
  readonly type = 'Force10';
  readonly batches: (readonly PortId[])[] = [];
  readonly #ports = new Map<PortId, ObservedPort>();
  opened = 0;
  /** Ports as they were when it was last told to save. */
  saved: readonly PortId[] = [];
  saves = 0;
  door: Promise<unknown> = Promise.resolve();
  work: Promise<unknown> = Promise.resolve();
  /** Fails what comes after a change, once. */
  breaksAfterChange = false;
  /** Takes changes of this port without doing anything. */
  stubborn: PortId | null = null;
  /** Refuses to change this port. */
  refused: PortId | null = null;

  async open(): Promise<SwitchSession> {
    this.opened += 1;
    await this.door;
    let broken = false;
    return {
      hostKey: 'known',
      read: async (ports) => {
        if (broken) throw new Error('the session broke');
        return {
          defaultVlan: parseVlanId(1),
          ports: new Map(ports.map((port) => [port, this.#ports.get(port) ?? untouched])),
          vlans: new Map(),
          unsaved: null,
        };
      },
      apply: async (steps) => {
        const ports = steps.map((step) => (step as { readonly port: PortId }).port);
        this.batches.push(ports);
        if (this.refused !== null && ports.includes(this.refused))
          throw new DeviceError({ code: 'switch.refused', what: `${this.refused} cannot be changed` });
        await this.work;
        for (const port of ports)
          if (port !== this.stubborn) this.#ports.set(port, { ...untouched, native: tenant.native });
        broken = this.breaksAfterChange;
        this.breaksAfterChange = false;
      },
      save: async () => {
        this.saves += 1;
        this.saved = [...this.#ports.keys()];
      },
      close: async () => undefined,
    };
  }

  /** Somebody else moves a port back. */
  lose(port: PortId): void {
    this.#ports.delete(port);
  }

  plan: SwitchDriver['plan'] = (observed, { ports }) =>
    [...ports]
      .filter(([port]) => observed.ports.get(port)?.native !== tenant.native)
      .map(([port]): SwitchStep => ({ do: 'set-native', port, vlan: parseVlanId(200) }));

  render(): readonly string[] {
    return [];
  }
}

/** Ports of one willing switch, on a clock that stands still unless a test moves it: whatever waits for time does not go on. */
export class SwitchScene {
  readonly clock = new ManualClock();
  readonly device = new WillingSwitch();
  readonly #temp: TempStorage;
  ports: PortService;

  private constructor(temp: TempStorage) {
    this.#temp = temp;
    this.ports = this.#newService();
  }

  /** On a database of its own, in which the switch and a machine are. */
  static async open(): Promise<SwitchScene> {
    const temp = await tempStorage();
    await temp.storage.run(async (tx) => {
      await tx.racks.replace('{}', [at], []);
      await tx.machines.insert(machine(1));
    });
    return new SwitchScene(temp);
  }

  async close(): Promise<void> {
    await this.ports.close();
    await this.#temp.close();
  }

  get storage(): TempStorage['storage'] {
    return this.#temp.storage;
  }

  /** As another process on the same database. */
  async restart(): Promise<void> {
    await this.ports.close();
    this.ports = this.#newService();
  }

  /** Asks for a port; resolves when that is written down. */
  async ask(n: number): Promise<{ readonly settled: Promise<unknown> }> {
    const wish: PortWish = { switch: at.name, port: te(n), purpose: 'tenant', desired: tenant };
    await this.#temp.storage.run((tx) => this.ports.desire(tx, machine(1).id, [wish]));
    return { settled: this.ports.settle([wish]) };
  }

  /** Lets everything go on that waits for nothing but the database. */
  async quiet(): Promise<void> {
    for (let i = 0; i < 20; i += 1) {
      await this.#temp.storage.run(async () => undefined);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #newService(): PortService {
    const timings: Partial<Timings> = {
      switchBatchDelay: delay,
      switchBatch: seconds(120),
      switchIdle: seconds(20),
    };
    return new PortService(new Map([['Force10', this.device]]), {
      storage: this.#temp.storage,
      clock: this.clock,
      timings: timings as Timings,
      log: createLog({ level: 'silent' }),
      metrics: new Metrics(),
      instances: { shared: false } as unknown as Instances,
    });
  }
}
