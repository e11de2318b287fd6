import {
  milliseconds,
  type DeployEngine,
  type EngineImage,
  type MachineForPhase,
  type PhaseOrder,
  type PhaseProgress,
} from '../../../../plugin-api/index.ts';
import { beginCommission, commissionView, lookUp, lookUpOrCreate, refuseInUse } from './commission-phase.ts';
import { beginDeploy, deployView, refuseTaken, withdrawDeploy } from './deploy-phase.ts';
import { beginErase, eraseView, withdrawErase } from './erase-phase.ts';
import { imagesOf } from './images.ts';
import { requireMachine } from './machine-lookup.ts';
import { MaasApi } from './maas-api.ts';
import { MaasClient } from './maas-client.ts';
import { isGone, isOutage, MaasError } from './maas-error.ts';
import type { MaasHost, PhaseParts } from './maas-host.ts';
import { NotedMoments } from './noted-moments.ts';
import type { MaasSettings } from './maas-settings.ts';
import { status, type MaasMachine } from './maas-shapes.ts';
import { readNote, writeNote, type OrderNote } from './order-note.ts';
import type { PhaseView } from './phase-view.ts';
import { planLines } from './plan-lines.ts';

/** The engine of one upstream MAAS. @param type `maas`, or `maas:NAME` where there are several */
export function createMaasEngine(host: MaasHost, settings: MaasSettings, type = 'maas'): DeployEngine {
  return new MaasEngine(host, settings, type);
}

/** What was last heard of an order, so that it is not asked for more often than it changes. */
interface Watch {
  progress: PhaseProgress;
  /** What was different at the last change. */
  news: string;
  /** By the steady clock. */
  nextAt: number;
  interval: number;
}

/** Most orders that are remembered in memory; a forgotten one is merely asked for once more. */
const maxWatched = 20_000;

/**
 * An upstream MAAS as deploy engine. All state is there and in the notes, so that any instance of the service can go on with
 * any order. MAAS switches the machine on and off by itself in every phase.
 */
class MaasEngine implements DeployEngine {
  readonly type: string;
  readonly powerBy = { commission: 'engine', deploy: 'engine', erase: 'engine' } as const;
  readonly #parts: PhaseParts;
  readonly #watches = new Map<string, Watch>();

  constructor(host: MaasHost, settings: MaasSettings, type: string) {
    this.type = type;
    const api = new MaasApi(new MaasClient(settings, host.clock, () => host.mayChange?.()));
    this.#parts = { api, host, settings, moments: new NotedMoments(host.clock) };
    if (settings.url.startsWith('http:'))
      host.log('warn', 'MAAS is asked without TLS: whoever listens has the key', { engine: type });
  }

  async images(): Promise<readonly EngineImage[]> {
    return imagesOf(await this.#parts.api.bootResources());
  }

  /** A boot resource that no rack controller has yet cannot be booted from. */
  async imageFault(name: string): Promise<string | null> {
    const { api, host } = this.#parts;
    try {
      const racks = await api.rackImages();
      if (racks.length === 0 || racks.some((images) => images.has(name) || images.has(seriesOf(name))))
        return null;
      return `${api.where}: no rack controller has the image ${name} yet`;
    } catch (thrown) {
      if (!(thrown instanceof MaasError)) throw thrown;
      host.log('warn', 'images of rack controllers cannot be read', {
        engine: this.type,
        error: thrown.message,
      });
      return null;
    }
  }

  async refuseTaken(machine: MachineForPhase, signal?: AbortSignal): Promise<void> {
    const me = await this.#parts.api.username(signal);
    if (machine.phase === 'deploy') {
      refuseTaken(this.#parts, await requireMachine(this.#parts, machine, signal), me, 'deployed');
      return;
    }
    const known = await lookUp(this.#parts, machine, signal);
    if (known) refuseInUse(this.#parts, known, me);
  }

  async plan(order: PhaseOrder): Promise<readonly string[]> {
    return planLines(this.#parts.api.where, order, this.#parts.settings);
  }

  async begin(order: PhaseOrder, signal?: AbortSignal): Promise<void> {
    const { host } = this.#parts;
    const known = await readNote(host.notes, order.id);
    const machine = known ? await this.#machine(known, signal) : await this.#lookUp(order, signal);
    if (!machine) throw this.#lost(known!);
    const note = known ?? (await writeNote(host.notes, order.id, this.#newNote(order, machine)));
    this.#watches.delete(order.id);
    switch (order.phase) {
      case 'commission':
        await beginCommission(this.#parts, machine, signal);
        await writeNote(host.notes, order.id, { ...note, sent: true, accepted: true, at: host.clock.now() });
        break;
      case 'deploy':
        await beginDeploy(this.#parts, order, note, signal);
        break;
      case 'erase':
        await beginErase(this.#parts, order, note, signal);
        break;
    }
    const placed = await readNote(host.notes, order.id);
    if (placed) this.#parts.moments.since(placed.systemId, 'sent', placed.at);
    host.log('info', 'order placed in MAAS', {
      engine: this.type,
      order: order.id,
      phase: order.phase,
      machine: order.hostname,
      systemId: note.systemId,
    });
  }

  async progress(orderId: string, signal?: AbortSignal): Promise<PhaseProgress | null> {
    const { host } = this.#parts;
    const watch = this.#watches.get(orderId);
    if (watch && host.clock.monotonic() < watch.nextAt) return watch.progress;
    const note = await readNote(host.notes, orderId);
    if (!note) return null;
    let view: PhaseView;
    try {
      view = await this.#view(orderId, note, signal);
    } catch (thrown) {
      signal?.throwIfAborted();
      if (!isOutage(thrown)) throw thrown;
      // The machine goes on without us; whoever waits decides how long silence may last.
      const silent = watch?.progress ?? { state: 'waiting', percent: null, lastSeen: host.clock.now() };
      return this.#watch(
        orderId,
        { ...silent, activity: `MAAS cannot be asked: ${thrown.message}` },
        'silent',
      );
    }
    if (view.note) await writeNote(host.notes, orderId, view.note);
    const progress = { ...view.progress, lastSeen: host.clock.now() };
    return this.#watch(orderId, progress, `${progress.state} ${progress.activity}`);
  }

  async withdraw(orderId: string, signal?: AbortSignal): Promise<void> {
    const { host } = this.#parts;
    this.#watches.delete(orderId);
    const note = await readNote(host.notes, orderId);
    if (!note) return;
    const machine = await this.#machine(note, signal);
    if (machine) await this.#withdraw(orderId, note, machine, signal);
    await host.notes.remove(orderId);
    host.log('info', 'order withdrawn from MAAS', {
      engine: this.type,
      order: orderId,
      systemId: note.systemId,
    });
  }

  async #withdraw(
    orderId: string,
    note: OrderNote,
    machine: MaasMachine,
    signal?: AbortSignal,
  ): Promise<void> {
    const { api } = this.#parts;
    const id = machine.system_id;
    switch (note.phase) {
      case 'commission':
        if (note.sent && (machine.status === status.commissioning || machine.status === status.testing))
          await api.abort(id, signal).catch((thrown: unknown) => {
            // It ended by itself meanwhile.
            if (!(thrown instanceof MaasError) || thrown.status !== 409) throw thrown;
          });
        break;
      case 'deploy':
        await withdrawDeploy(this.#parts, orderId, note, machine, signal);
        break;
      case 'erase':
        await withdrawErase(this.#parts, orderId, note, machine, signal);
        break;
    }
  }

  async #view(orderId: string, note: OrderNote, signal?: AbortSignal): Promise<PhaseView> {
    const machine = await this.#machine(note, signal);
    if (!machine) {
      const { message } = this.#lost(note);
      const error = { code: 'maas.machine-lost', said: message };
      return { progress: { state: 'failed', activity: 'MAAS: removed', percent: null, error } };
    }
    const view =
      note.phase === 'commission'
        ? commissionView(this.#parts, note, machine)
        : note.phase === 'deploy'
          ? await deployView(this.#parts, orderId, note, machine, signal)
          : await eraseView(this.#parts, orderId, note, machine, signal);
    return view.progress.state === 'failed' ? this.#withWarnings(view, machine, signal) : view;
  }

  /** What MAAS logged about a machine that failed is what an operator asks for next. */
  async #withWarnings(view: PhaseView, machine: MaasMachine, signal?: AbortSignal): Promise<PhaseView> {
    const warnings = await this.#parts.api.warnings(machine.system_id, signal).catch((thrown: unknown) => {
      if (thrown instanceof MaasError) return [];
      throw thrown;
    });
    if (warnings.length === 0) return view;
    const evidence = {
      summary: `last warnings of MAAS: ${warnings[0]!.slice(0, 200)}`,
      verified: false,
      data: { warnings: warnings.map((line) => line.slice(0, 500)) },
    };
    return { ...view, progress: { ...view.progress, evidence } };
  }

  /** The machine by its system id; null where it was removed. */
  async #machine(note: OrderNote, signal?: AbortSignal): Promise<MaasMachine | null> {
    try {
      return await this.#parts.api.machine(note.systemId, signal);
    } catch (thrown) {
      if (isGone(thrown)) return null;
      throw thrown;
    }
  }

  #lookUp(order: PhaseOrder, signal?: AbortSignal): Promise<MaasMachine> {
    return order.phase === 'commission'
      ? lookUpOrCreate(this.#parts, order, signal)
      : requireMachine(this.#parts, order, signal);
  }

  #newNote(order: PhaseOrder, machine: MaasMachine): OrderNote {
    return {
      phase: order.phase,
      machineId: order.machineId,
      systemId: machine.system_id,
      hostname: order.hostname,
      at: this.#parts.host.clock.now(),
      sent: false,
      accepted: false,
      fromReady: false,
      ...(order.phase === 'deploy' && { image: order.image }),
      ...(order.phase === 'erase' && { grade: order.grade }),
    };
  }

  #lost(note: OrderNote): MaasError {
    return new MaasError({
      code: 'maas.machine-lost',
      what: `machine ${note.systemId} (${note.hostname}) is not there any more`,
      where: this.#parts.api.where,
      status: null,
    });
  }

  /** Remembers an answer; the longer nothing changes, the longer it holds. */
  #watch(orderId: string, progress: PhaseProgress, news: string): PhaseProgress {
    const { host, settings } = this.#parts;
    const before = this.#watches.get(orderId);
    const interval =
      before?.news === news
        ? Math.min(settings.pollMax, before.interval * 1.5)
        : Math.min(settings.pollMax, settings.pollInterval);
    this.#watches.delete(orderId);
    if (progress.state === 'done' || progress.state === 'failed') return progress;
    if (this.#watches.size >= maxWatched) this.#watches.delete(this.#watches.keys().next().value!);
    const nextAt = host.clock.monotonic() + milliseconds(interval);
    this.#watches.set(orderId, { progress, news, nextAt, interval });
    return progress;
  }
}

function seriesOf(name: string): string {
  return name.slice(name.indexOf('/') + 1);
}
