import { randomBytes } from 'node:crypto';
import type { Stage } from '../../lab/demo/stage.ts';
import { Semaphore } from '../../src/kernel/concurrency/semaphore.ts';
import { startChild, type Child } from './child-process.ts';
import type { AllottedNic, FloorOrder, FloorPlace, FloorSeen } from './floor-process.ts';

/** Of two racks whose servers are cabled to the same two switches. */
const machinesPerPair = 40;
/** A service and so many simulating processes share what cores there are. */
const processes = 2;

/** The servers of many racks, simulated in processes of their own: one process for all of them would be what limits a bench. */
export class Racks {
  readonly #children: readonly Child[];
  readonly #places: readonly FloorPlace[];
  readonly #password: string;

  static async start(count: number, directory: string): Promise<Racks> {
    const password = randomBytes(6).toString('hex');
    const pairs = Array.from({ length: Math.ceil(count / machinesPerPair) }, (_, pair) => ({
      number: pair + 1,
      firstMachine: pair * machinesPerPair + 1,
      machines: Math.min(machinesPerPair, count - pair * machinesPerPair),
    }));
    const children: Child[] = [];
    try {
      for (let n = 0; n < Math.min(processes, pairs.length); n += 1) {
        const own = pairs.filter((_, pair) => pair % processes === n);
        const order: FloorOrder = { directory, password, pairs: own };
        children.push(await startChild('./floor-process.ts', order));
      }
      const places = await Promise.all(children.map((child) => child.ask<FloorPlace>('place')));
      return new Racks(children, places, password);
    } catch (error) {
      await Promise.all(children.map((child) => child.kill()));
      throw error;
    }
  }

  private constructor(children: readonly Child[], places: readonly FloorPlace[], password: string) {
    this.#children = children;
    this.#places = places;
    this.#password = password;
  }

  get machines(): FloorPlace['machines'] {
    return this.#places.flatMap((place) => place.machines);
  }

  /** Of each machine's instance, in the order of the machines. */
  async allot(nics: readonly AllottedNic[]): Promise<void> {
    const [...rest] = nics;
    await Promise.all(
      this.#children.map((child, i) => child.ask('allot', rest.splice(0, this.#places[i]!.machines.length))),
    );
  }

  /** Has every machine enrolled and commissioned by the stage's service, so many at once. */
  async furnish({ admin, service }: Stage, atOnce: number): Promise<void> {
    const { hostname: host, port } = new URL(service.bootUrl);
    await Promise.all(this.#children.map((child) => child.ask('boot', { host, port: Number(port) })));
    await admin.call('PUT', '/rack-config', this.#rackConfig());
    const { username } = this.#places[0]!;
    const lane = new Semaphore(atOnce);
    await Promise.all(
      this.machines.map(({ name, macs, bmc }) =>
        lane.run(async () => {
          await admin.call('POST', '/machines', {
            hostname: name,
            macs,
            bmc: { ...bmc, username, password: this.#password },
            cloudPlace: { cloud: 'cloudstack', zone: 'zone-1', pod: 'pod-1', cluster: '1' },
          });
          await admin.operation('POST', `/machines/${name}/commission`, { grade: 'quick' });
        }),
      ),
    );
  }

  async seen(): Promise<FloorSeen> {
    const all = await Promise.all(this.#children.map((child) => child.ask<FloorSeen>('seen')));
    return {
      running: all.reduce((sum, { running }) => sum + running, 0),
      violations: all.flatMap(({ violations }) => violations),
      cpu: all.reduce((sum, { cpu }) => sum + cpu, 0),
    };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.kill()));
  }

  #rackConfig(): string {
    const all = this.#places.flatMap(({ rackConfigs }) =>
      rackConfigs.map((text) => JSON.parse(text) as { readonly racks: readonly unknown[] }),
    );
    return JSON.stringify({ ...all[0], racks: all.flatMap(({ racks }) => racks) });
  }
}
