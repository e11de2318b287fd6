import type { FloorMachine } from '../../lab/floor/index.ts';
import { eraseDisk, makeLabImage, writeFirstBoot } from '../../lab/machine/index.ts';
import {
  DeviceError,
  type DeployEngine,
  type EngineImage,
  type PhaseOrder,
  type PhaseProgress,
} from '../../plugin-api/index.ts';
import { noCloudFiles, noCloudLabel } from '../../src/drivers/deploy/native/nocloud.ts';
import { until } from './until.ts';

/** An engine that drives the machine's power itself, as another installation service with its own way to the BMC does. */
export class PoweringEngine implements DeployEngine {
  readonly type = 'upstream';
  readonly powerBy = { commission: 'engine', deploy: 'engine', erase: 'engine' } as const;
  /** What it was asked for, in order. */
  readonly calls: string[] = [];
  /** What anybody else did to the machine's power while it was at work. */
  readonly meddling: string[] = [];
  /** So many of the next questions and withdrawals find it away. */
  away = 0;
  /** Ends the next deployment like this. */
  failure: string | null = null;
  /** Held until it resolves, when a deployment is half done. */
  halfway: Promise<void> = Promise.resolve();
  readonly #machine: FloorMachine['machine'];
  readonly #orders = new Map<string, PhaseProgress>();
  readonly #control: FloorMachine['machine']['control'];
  #working = false;

  constructor({ machine }: FloorMachine) {
    this.#machine = machine;
    this.#control = machine.control.bind(machine);
    machine.control = (action, flags) => {
      if (this.#working) this.meddling.push(action);
      this.#control(action, flags);
    };
  }

  async images(): Promise<readonly EngineImage[]> {
    return [{ name: 'lab-linux', aliases: [], canBond: true, firstBoot: 'nocloud', rawBytes: 2 ** 20 }];
  }

  async plan(order: PhaseOrder): Promise<readonly string[]> {
    return [`upstream: ${order.phase} ${order.hostname}`];
  }

  async begin(order: PhaseOrder): Promise<void> {
    if (this.#orders.has(order.id)) return;
    this.calls.push(`begin ${order.phase}`);
    this.#tell(order, 'running', 'at work');
    this.#working = true;
    this.#work(order)
      .catch((thrown: unknown) => {
        const said = String(thrown);
        this.#tell(order, 'failed', said, { error: { code: 'deploy.agent-failed', said } });
      })
      .finally(() => {
        this.#working = false;
      });
  }

  async progress(orderId: string): Promise<PhaseProgress | null> {
    this.#beThere();
    return this.#orders.get(orderId) ?? null;
  }

  async withdraw(orderId: string): Promise<void> {
    this.#beThere();
    this.calls.push(`withdraw ${orderId.split(':')[1]}`);
    this.#orders.delete(orderId);
    this.#working = false;
  }

  async #work(order: PhaseOrder): Promise<void> {
    await this.#power('on', 'pxe');
    const disk = this.#machine.disks[0]!;
    switch (order.phase) {
      case 'commission': {
        const { nics, disks, firmware } = this.#machine;
        this.#tell(order, 'done', 'inventoried', {
          evidence: { summary: 'inventoried upstream', verified: true },
          inventory: {
            cpus: 2,
            memoryBytes: 2 ** 30,
            architecture: 'x86_64',
            firmware,
            product: 'lab',
            serial: 'S1',
            nics: nics.map(({ name, mac }) => ({
              name,
              mac,
              linkUp: true,
              speedMbps: 10_000,
              neighbour: null,
            })),
            disks: disks.map(({ name, model, serial, bytes, rotational, removable, readOnly }) => ({
              name,
              model,
              serial,
              bytes,
              rotational,
              removable,
              readOnly,
            })),
          },
        });
        return;
      }
      case 'deploy':
        await this.halfway;
        if (this.failure !== null) throw new Error(this.failure);
        disk.write(0, makeLabImage({ name: order.image, canBond: true, bytes: 2 ** 20 }));
        writeFirstBoot(disk, { label: noCloudLabel, files: noCloudFiles(order.firstBoot, order.nicPlan) });
        // It boots what it installed, there where it installed it.
        await this.#power('off', 'none');
        await this.#power('on', 'disk');
        await until(() => this.#machine.phase === 'os', 'the system on the provisioning side');
        this.#tell(order, 'done', 'deployed', {
          evidence: { summary: 'deployed upstream', verified: true },
        });
        return;
      case 'erase':
        await eraseDisk(disk, order.grade, async () => undefined);
        await this.#power('off', 'none');
        this.#tell(order, 'done', 'erased', { evidence: { summary: 'erased upstream', verified: true } });
    }
  }

  #tell(
    { id }: PhaseOrder,
    state: PhaseProgress['state'],
    activity: string,
    more: Partial<PhaseProgress> = {},
  ): void {
    this.#orders.set(id, { state, activity, percent: null, lastSeen: null, ...more });
  }

  async #power(to: 'on' | 'off', device: 'none' | 'pxe' | 'disk'): Promise<void> {
    this.#control(to, { device, efi: false });
    await until(() => this.#machine.power() === to, `power ${to}`);
  }

  #beThere(): void {
    if (this.away === 0) return;
    this.away -= 1;
    throw new DeviceError({ code: 'deploy.stalled', retry: 'later', what: 'upstream is away' });
  }
}
