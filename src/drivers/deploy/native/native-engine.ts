import { z } from 'zod';
import type {
  BootOrder,
  DeployEngine,
  DeployEngineFactory,
  DeployHost,
  EngineImage,
  PhaseOrder,
  PhaseProgress,
  StoredImage,
} from '../../../../plugin-api/index.ts';
import { bootOrderOf } from './boot-order.ts';
import { planLines } from './plan-lines.ts';

/** The native engine has no settings of its own: images, boot service and timeouts belong to the host. */
const settingsSchema = z.strictObject({}).optional();

/** Our PXE engine: places orders with the boot service, whose ramdisk agent does the work. */
export const createNativeEngine: DeployEngineFactory = (host, settings) => {
  settingsSchema.parse(settings);
  return new NativeEngine(host);
};

class NativeEngine implements DeployEngine {
  readonly type = 'native';
  /** The agent powers its machine off at the end, but whoever turns it on, and confirms that it is off, is us. */
  readonly powerBy = { commission: 'ours', deploy: 'ours', erase: 'ours' } as const;
  readonly #host: DeployHost;

  constructor(host: DeployHost) {
    this.#host = host;
  }

  async images(): Promise<readonly EngineImage[]> {
    return this.#host.imageCatalogue.list();
  }

  async imageFault(name: string): Promise<string | null> {
    return (await this.#host.imageCatalogue.fault?.(name)) ?? null;
  }

  async plan(order: PhaseOrder): Promise<readonly string[]> {
    const { placed, image } = await this.#prepare(order);
    return planLines(order, placed, image);
  }

  async begin(order: PhaseOrder, signal?: AbortSignal): Promise<void> {
    const { placed } = await this.#prepare(order);
    signal?.throwIfAborted();
    await this.#host.conversations.place(placed);
    this.#host.log('info', 'boot order placed', {
      order: order.id,
      phase: order.phase,
      machine: order.hostname,
    });
  }

  async progress(orderId: string): Promise<PhaseProgress | null> {
    return this.#host.conversations.progress(orderId);
  }

  async withdraw(orderId: string): Promise<void> {
    await this.#host.conversations.withdraw(orderId);
  }

  async #prepare(
    order: PhaseOrder,
  ): Promise<{ readonly placed: BootOrder; readonly image: StoredImage | null }> {
    const image = order.phase === 'deploy' ? await this.#host.imageCatalogue.find(order.image) : null;
    return { placed: bootOrderOf(order, image), image };
  }
}
