import { createHash, timingSafeEqual } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import {
  minutes,
  type BootConversations,
  type BootOrder,
  type Clock,
  type Duration,
  type JsonObject,
  type PhaseProgress,
} from '../../../plugin-api/index.ts';
import type { Machine } from '../../core/machine/machine.ts';
import { ongoing, type BootRecord, type BootState } from '../../core/storage/boot-record.ts';
import type { Storage, Tx } from '../../core/storage/storage.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { EventBus } from '../../kernel/events/event-bus.ts';
import { newSortableId, newToken } from '../../kernel/ids/ids.ts';
import type { Log } from '../../kernel/log/log.ts';
import { describePoint, engineEvent, PhasePoints } from '../timeline/engine-events.ts';
import { recordEvent } from '../timeline/record-event.ts';
import type { AgentProgress, AgentResult } from './agent-report.ts';
import { SlidingLimit, newcomer, type BootAsker, type NewcomerDefaults } from './newcomers.ts';
import { judgeResult } from './outcome.ts';

/** What a machine that asks for its boot gets. Only `agent` carries a token, and only the first asker gets it. */
export type BootDecision =
  | { readonly kind: 'agent'; readonly token: string; readonly asker: BootAsker }
  | { readonly kind: 'local-disk'; readonly platform: string }
  | { readonly kind: 'power-off'; readonly reason: string };

/** A conversation took a step; whoever waits for it reads it again. */
export interface BootChange {
  readonly orderId: string;
  readonly state: BootState;
}

export interface BootConversationsOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Log;
  /** Site and pool of machines that merely showed up. */
  readonly newcomers: NewcomerDefaults;
  /** How many unknown machines are recorded per `newcomerWindow` (default 20). Counted in memory, per process. */
  readonly newcomerLimit?: number;
  /** Default one hour. */
  readonly newcomerWindow?: Duration;
}

/** States in which the agent may work under its token. */
const atWork: readonly BootState[] = ['asked', 'running'];
const open: readonly BootState[] = [...ongoing, 'contested'];

/** How often a change that met somebody else's is tried again; each round has a winner, and few parties meet on one record. */
const conflictTries = 8;
/** What is kept of the agent's log: the end, where the reason stands. */
const keptLogChars = 16 * 1024;

/**
 * The boot conversations (docs/boot-protocol.md): order, token, progress, result. Everything is in storage, nothing in memory
 * but the count of newcomers: another object on the same database continues where this one was cut off.
 *
 * Methods that take a token throw ServiceError `request.unauthenticated` for an unknown one and `boot.refused` when its
 * order is over.
 */
export class BootConversationService implements BootConversations {
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #newcomers: NewcomerDefaults;
  readonly #newcomerLimit: SlidingLimit;
  readonly #events = new EventBus<{ changed: BootChange }>();
  /** What the timelines of machines that are at work were told, by order. */
  readonly #points = new Map<string, PhasePoints>();

  constructor(options: BootConversationsOptions) {
    this.#storage = options.storage;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#newcomers = options.newcomers;
    this.#newcomerLimit = new SlidingLimit(
      options.clock,
      options.newcomerLimit ?? 20,
      options.newcomerWindow ?? minutes(60),
    );
  }

  /**
   * Calls `listener` after each change that was made in this process, so that a waiting step looks at once; other instances'
   * changes are found by looking. The returned function unsubscribes.
   */
  onChange(listener: (change: BootChange) => void): () => void {
    return this.#events.on('changed', listener);
  }

  /**
   * Places the order. The same order again changes nothing; other work under the same id, or an order that failed, begins
   * anew and voids its token; one that is done stays done. An older order of the same machine is withdrawn.
   * @throws ServiceError `machine.ambiguous` when another machine has an open order for one of the MACs.
   */
  async place(order: BootOrder): Promise<void> {
    const { id, machineId, macs, phase, work, image, firstBootFiles } = order;
    // As storage will give it back, so that the same order compares equal.
    const plain = JSON.parse(
      JSON.stringify({ id, machineId, macs, phase, work, image, firstBootFiles }),
    ) as BootOrder;
    await this.#change(async (tx, changed) => {
      const existing = await tx.boots.find(order.id);
      if (existing?.state === 'done') return;
      if (existing && ongoing.includes(existing.state) && isDeepStrictEqual(existing.order, plain)) return;
      changed.push(...(await this.#withdrawOlder(tx, plain)));
      const record: BootRecord = {
        order: plain,
        state: 'placed',
        tokenHash: null,
        armedAt: null,
        asker: null,
        activity: 'order placed',
        percent: null,
        lastSeen: null,
        evidence: null,
        inventory: null,
        error: null,
        version: existing?.version ?? 1,
      };
      if (existing) await tx.boots.update(record);
      else await tx.boots.insert(record);
      changed.push(record);
    });
  }

  async progress(orderId: string): Promise<PhaseProgress | null> {
    const record = await this.#storage.run((tx) => tx.boots.find(orderId));
    return record && phaseProgress(record);
  }

  async withdraw(orderId: string): Promise<void> {
    await this.#change(async (tx, changed) => {
      const withdrawn = await this.withdrawIn(tx, orderId);
      if (withdrawn) changed.push(withdrawn);
    });
  }

  /** The same in the unit of work in which an operation ends that is not undone: nobody waits for the order any more. */
  async withdrawIn(tx: Tx, orderId: string): Promise<BootRecord | null> {
    const record = await tx.boots.find(orderId);
    return record && open.includes(record.state) ? this.#end(tx, record, 'withdrawn', {}) : null;
  }

  /**
   * Lets the next asker have the order, with a new token; an older token is void. Called in the operation's unit of work
   * right before its own power-on, which is what makes the asker trustworthy.
   * @throws ServiceError `request.not-found` for an unknown order, `boot.refused` for one that is over or contested.
   */
  async arm(tx: Tx, orderId: string): Promise<void> {
    const record = await tx.boots.find(orderId);
    if (!record)
      throw new ServiceError({ code: 'request.not-found', what: `there is no boot order ${orderId}` });
    if (!ongoing.includes(record.state)) {
      throw new ServiceError({
        code: 'boot.refused',
        what: `boot order ${orderId} is ${record.state}; place it anew`,
      });
    }
    await tx.boots.update({
      ...record,
      state: 'armed',
      tokenHash: null,
      armedAt: this.#clock.now(),
      asker: null,
      activity: 'waiting for the machine to boot',
      percent: null,
      lastSeen: null,
      evidence: null,
    });
  }

  /** Decides what a machine boots. Not repeatable: asking twice for an armed order contests it. */
  async decide(asker: BootAsker): Promise<BootDecision> {
    const decision = await this.#change(async (tx, changed): Promise<BootDecision | null> => {
      const record = await tx.boots.findOpenByMac(asker.mac);
      if (!record) return null;
      if (record.state === 'armed') {
        const token = newToken();
        changed.push(
          await tx.boots.update({
            ...record,
            state: 'asked',
            tokenHash: hashOf(token),
            asker: describe(asker),
            activity: 'ramdisk is loading',
            lastSeen: this.#clock.now(),
          }),
        );
        const text = `${describe(asker)} asks for its boot, and gets its order`;
        await recordEvent(tx, engineEvent(record.order, text, this.#clock.now()));
        return { kind: 'agent', token, asker };
      }
      if (atWork.includes(record.state)) changed.push(await this.#contest(tx, record, asker));
      return { kind: 'power-off', reason: refusals[record.state] };
    });
    return decision ?? (await this.#decideWithoutOrder(asker));
  }

  /** @throws ServiceError `request.unauthenticated` unless the token belongs to an order, over or not. */
  async authenticate(token: string): Promise<void> {
    await this.#storage.run((tx) => recordOf(tx, token));
  }

  /** The work order; taking it is the agent's first sign of life. URLs in it are paths of the boot service. */
  async order(token: string): Promise<JsonObject> {
    const record = await this.#atWork(token, (current) => ({
      state: 'running',
      activity: current.state === 'running' ? current.activity : 'agent started',
      lastSeen: this.#clock.now(),
    }));
    return record.order.work;
  }

  async report(token: string, progress: AgentProgress): Promise<void> {
    // Whoever has the token may say anything: it does not get into what is kept.
    const activity = progress.activity.replaceAll(token, '***');
    await this.#atWork(token, () => ({
      ...progress,
      activity,
      state: 'running',
      lastSeen: this.#clock.now(),
    }));
  }

  /** Keeps the end of the agent's log with the order; the token does not get into it. */
  async log(token: string, text: string): Promise<void> {
    const safe = text.replaceAll(token, '***').slice(-keptLogChars);
    await this.#atWork(token, () => ({
      state: 'running',
      evidence: { summary: 'log of the ramdisk agent', verified: false, data: { log: safe } },
      lastSeen: this.#clock.now(),
    }));
  }

  /**
   * Ends the order as the result is judged. The same result again is answered the same.
   * @throws ServiceError `request.invalid` when the result does not fit the order; the order has failed then.
   */
  async result(token: string, result: AgentResult): Promise<{ readonly then: 'power-off' }> {
    const unfit = await this.#change(async (tx, changed): Promise<ServiceError | null> => {
      const record = await recordOf(tx, token);
      try {
        const { state, ...found } = judgeResult(record.order, result);
        const repeated =
          record.state === state && Object.entries(found).every(([key, value]) => same(record, key, value));
        if (repeated) return null;
        requireAtWork(record);
        changed.push(await this.#end(tx, record, state, found));
        return null;
      } catch (error) {
        if (!(error instanceof ServiceError) || error.code !== 'request.invalid') throw error;
        requireAtWork(record);
        changed.push(await this.#end(tx, record, 'failed', malformedResult(error.what)));
        return error;
      }
    });
    if (unfit) throw unfit;
    return { then: 'power-off' };
  }

  /** The agent sent a result that cannot be read, and will not send another: the order has failed. */
  async unreadableResult(token: string, why: string): Promise<void> {
    await this.#change(async (tx, changed) => {
      const record = await recordOf(tx, token);
      requireAtWork(record);
      changed.push(await this.#end(tx, record, 'failed', malformedResult(why)));
    });
  }

  /** Name of the image that the agent may fetch. @throws ServiceError `request.not-found` when its order has none. */
  async imageOf(token: string): Promise<string> {
    const { order } = await this.#reading(token);
    if (order.image !== null) return order.image;
    throw new ServiceError({ code: 'request.not-found', what: `order ${order.id} has no image` });
  }

  /** A first-boot file of the agent's order. @throws ServiceError `request.not-found` */
  async firstBootFile(token: string, name: string): Promise<string> {
    const { order } = await this.#reading(token);
    const text = Object.hasOwn(order.firstBootFiles, name) ? order.firstBootFiles[name] : undefined;
    if (text !== undefined) return text;
    throw new ServiceError({
      code: 'request.not-found',
      what: `order ${order.id} has no such first-boot file`,
    });
  }

  async #decideWithoutOrder(asker: BootAsker): Promise<BootDecision> {
    const known = await this.#storage.run(async (tx) => {
      const machine = await tx.machines.findByMac(asker.mac);
      return machine && { machine, installed: await hasInstalledSystem(tx, machine) };
    });
    if (known) {
      return known.installed
        ? { kind: 'local-disk', platform: asker.platform }
        : { kind: 'power-off', reason: 'nothing to do for this machine' };
    }
    if (!this.#newcomerLimit.take()) {
      this.#log.warn(
        { mac: asker.mac, remote: asker.remote },
        'unknown machine not recorded: too many lately',
      );
      return { kind: 'power-off', reason: 'unknown machine; too many of them lately' };
    }
    const machine = newcomer(asker, this.#newcomers, this.#clock.now());
    try {
      await this.#storage.run((tx) => tx.machines.insert(machine));
      this.#log.info(
        { mac: asker.mac, remote: asker.remote, hostname: machine.hostname },
        'new machine recorded',
      );
    } catch (error) {
      // Another request of the same machine was faster.
      if (!isConflict(error)) throw error;
    }
    return { kind: 'power-off', reason: 'unknown machine; it is recorded as new' };
  }

  async #contest(tx: Tx, record: BootRecord, asker: BootAsker): Promise<BootRecord> {
    const said = `the token was given to ${record.asker ?? 'somebody'}; now ${describe(asker)} asked too`;
    const now = this.#clock.now();
    await tx.alarms.insert({
      id: newSortableId('alarm', now),
      at: now,
      code: 'deploy.second-asker',
      machineId: record.order.machineId as Machine['id'],
      text: `Boot order ${record.order.id}: ${said}. Neither is trusted; find who else asks on the provisioning network.`,
    });
    this.#log.warn({ order: record.order.id, mac: asker.mac, remote: asker.remote }, 'boot order contested');
    return tx.boots.update({ ...record, state: 'contested', error: { code: 'deploy.second-asker', said } });
  }

  async #withdrawOlder(tx: Tx, order: BootOrder): Promise<readonly BootRecord[]> {
    const withdrawn: BootRecord[] = [];
    for (const mac of order.macs) {
      const other = await tx.boots.findOpenByMac(mac);
      if (!other || other.order.id === order.id) continue;
      if (other.order.machineId !== order.machineId) {
        throw new ServiceError({
          code: 'machine.ambiguous',
          what: `the MAC ${mac} already has boot order ${other.order.id} of machine ${other.order.machineId}`,
        });
      }
      withdrawn.push(await this.#end(tx, other, 'withdrawn', {}));
    }
    return withdrawn;
  }

  /** Nothing is handed out after the end, so the tenant's first-boot data is dropped from the record. */
  async #end(tx: Tx, record: BootRecord, state: BootState, found: Partial<BootRecord>): Promise<BootRecord> {
    this.#points.delete(record.order.id);
    if (state !== 'withdrawn') {
      const { evidence, error } = { ...record, ...found };
      const text =
        state === 'done'
          ? `done: ${evidence?.summary ?? 'without evidence'}`
          : `failed: ${error?.said ?? state}`;
      await recordEvent(tx, engineEvent(record.order, text, this.#clock.now()));
    }
    return tx.boots.update({
      ...record,
      ...found,
      order: { ...record.order, firstBootFiles: {} },
      state,
      activity: state,
      percent: state === 'done' ? 100 : record.percent,
      lastSeen: state === 'withdrawn' ? record.lastSeen : this.#clock.now(),
    });
  }

  async #reading(token: string): Promise<BootRecord> {
    const record = await this.#storage.run((tx) => recordOf(tx, token));
    requireAtWork(record);
    return record;
  }

  async #atWork(token: string, change: (record: BootRecord) => Partial<BootRecord>): Promise<BootRecord> {
    const updated = await this.#change(async (tx, changed) => {
      const record = await recordOf(tx, token);
      requireAtWork(record);
      const updated = await tx.boots.update({ ...record, ...change(record) });
      changed.push(updated);
      if (this.#pointsOf(record).isNew(updated))
        await recordEvent(tx, engineEvent(record.order, describePoint(updated), this.#clock.now()));
      return updated;
    });
    const points = this.#pointsOf(updated);
    if (points.isNew(updated)) points.told(updated);
    return updated;
  }

  #pointsOf({ order }: BootRecord): PhasePoints {
    const known = this.#points.get(order.id);
    if (known) return known;
    const points = new PhasePoints();
    this.#points.set(order.id, points);
    return points;
  }

  /** Runs a change, again when somebody else was faster; tells the waiting of every record in `changed` once it is stored. */
  async #change<T>(work: (tx: Tx, changed: BootRecord[]) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const changed: BootRecord[] = [];
        const value = await this.#storage.run((tx) => work(tx, changed));
        for (const { order, state } of changed) this.#events.emit('changed', { orderId: order.id, state });
        return value;
      } catch (error) {
        if (!isConflict(error) || attempt >= conflictTries) throw error;
      }
    }
  }
}

const refusals: Readonly<Record<BootState, string>> = {
  placed: 'its order waits for our own power-on',
  armed: '',
  asked: 'somebody else already got this order',
  running: 'somebody else already got this order',
  contested: 'its order is contested',
  done: '',
  failed: '',
  withdrawn: '',
};

/** A tenant's system is on the disk, and nobody has begun to take the machine back. */
async function hasInstalledSystem(tx: Tx, machine: Machine): Promise<boolean> {
  if (machine.state === 'deployed') return true;
  if (machine.state !== 'failed' && machine.state !== 'broken') return false;
  return (await tx.deployments.current(machine.id))?.state === 'installed';
}

async function recordOf(tx: Tx, token: string): Promise<BootRecord> {
  const hash = hashOf(token);
  const record = await tx.boots.findByTokenHash(hash);
  if (
    !record?.tokenHash ||
    !timingSafeEqual(Buffer.from(record.tokenHash, 'hex'), Buffer.from(hash, 'hex'))
  ) {
    throw new ServiceError({ code: 'request.unauthenticated', what: 'this boot token is not valid' });
  }
  return record;
}

function requireAtWork(record: BootRecord): void {
  if (atWork.includes(record.state)) return;
  throw new ServiceError({ code: 'boot.refused', what: `order ${record.order.id} is over: ${record.state}` });
}

function phaseProgress(record: BootRecord): PhaseProgress | null {
  const { activity, percent, lastSeen } = record;
  const base = { activity, percent, lastSeen };
  switch (record.state) {
    case 'placed':
    case 'armed':
    case 'asked':
      return { ...base, state: 'waiting' };
    case 'running':
      return { ...base, state: 'running' };
    case 'done':
      return {
        ...base,
        state: 'done',
        evidence: record.evidence ?? undefined,
        inventory: record.inventory ?? undefined,
      };
    case 'failed':
    case 'contested':
      return {
        ...base,
        state: 'failed',
        evidence: record.evidence ?? undefined,
        error: record.error ?? undefined,
      };
    case 'withdrawn':
      return null;
  }
}

function malformedResult(why: string): Pick<BootRecord, 'error'> {
  return { error: { code: 'deploy.agent-failed', said: `its result could not be used: ${why}` } };
}

function same(record: BootRecord, key: string, value: unknown): boolean {
  return isDeepStrictEqual(record[key as keyof BootRecord], JSON.parse(JSON.stringify(value)));
}

function isConflict(error: unknown): boolean {
  return error instanceof ServiceError && error.code === 'store.conflict';
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

function describe(asker: BootAsker): string {
  return `${asker.mac} at ${asker.remote}`;
}
