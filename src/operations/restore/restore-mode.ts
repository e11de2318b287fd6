import { milliseconds, type Clock, type Duration } from '../../../plugin-api/index.ts';
import { requesterOf, type Asker } from '../../core/access/principal.ts';
import { authorise } from '../../core/access/rights.ts';
import type { Machine, MachineId } from '../../core/machine/machine.ts';
import type { Difference, History, MachineHistory, Restored } from '../../core/storage/history-records.ts';
import type { Storage, Tx } from '../../core/storage/storage.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';
import type { EventBus } from '../../kernel/events/event-bus.ts';
import { newSortableId } from '../../kernel/ids/ids.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { Metrics } from '../../kernel/metrics/metrics.ts';
import type { OperationEvents } from '../operation-events.ts';
import type { Survey } from '../survey/survey.ts';
import type { World } from '../world.ts';
import { keepStrangers, settleMachine, type Choice } from './choices.ts';
import { differencesOf, unknownDifferences } from './differences.ts';
import type { HistoryFile } from './history-file.ts';
import { recollect } from './older-state.ts';

export interface RestoreModeParts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly events: EventBus<OperationEvents>;
  readonly boots: World['boots'];
  readonly survey: Pick<Survey, 'look'>;
  readonly file: HistoryFile;
  /** How often it is looked whether another instance was told to go on. */
  readonly lookInterval: Duration;
}

export interface RestoreReport {
  /** null = the service is at work as usual. */
  readonly pending: Restored | null;
  readonly machines: readonly {
    readonly id: MachineId;
    readonly hostname: string;
    readonly state: string;
    readonly holder: string | null;
    readonly differences: readonly Difference[];
  }[];
  /** What was found of machines that the database does not know. */
  readonly unknown: readonly Difference[];
  /** How many machines are as the database says; null before the devices were read. */
  readonly same: number | null;
}

/** Machines by hostname or id; those that are not named and differ are quarantined. */
export type Choices = ReadonlyMap<string, Choice>;

const ourselves = 'csbm';

/**
 * What keeps a service that came up on an older state of its database from acting on it. Devices are read and the differences
 * named first; until a person has accepted, no operation is gone on with, no command is taken, nothing is written to a device.
 */
export class RestoreMode {
  readonly #parts: RestoreModeParts;
  readonly #stopping = new AbortController();
  /** Until it is known, nothing may be done. */
  #closed = true;
  #begun = false;
  #lost: ReadonlyMap<MachineId, number> | null = null;
  #comparing: Promise<void> | null = null;
  #watching: Promise<void> = Promise.resolve();

  constructor(parts: RestoreModeParts) {
    this.#parts = parts;
  }

  /** Whether nothing may be done until a person has accepted. */
  get closed(): boolean {
    return this.#closed;
  }

  /** @throws ServiceError `restore.pending` while it is closed */
  refuse(): void {
    if (!this.#closed) return;
    throw new ServiceError({
      code: 'restore.pending',
      what: 'the database is an older state than it was; nothing is done until a person has looked at the differences',
    });
  }

  /** To be awaited before anything acts. Where the database is older than it was, it returns closed, with everything compared. */
  async begin(): Promise<void> {
    const { clock, file, log, storage } = this.#parts;
    const remembered = file.read();
    const found = await storage.run(async (tx) => {
      let history = await tx.history.read();
      const machines = await tx.history.machines();
      const there = (await tx.machines.places()).length > 0;
      const { older, lost } = recollect(remembered, history, machines, there);
      if (older !== null && !isPending(history)) {
        const restored: Restored = { at: clock.now(), why: older, ...nothingYet };
        history = await tx.history.update({ ...history, restored });
      } else if (!isPending(history))
        history = await tx.history.update({ ...history, starts: history.starts + 1 });
      return { history, machines, lost };
    });
    this.#lost = found.lost;
    this.#closed = isPending(found.history);
    this.#begun = true;
    if (!this.#closed) {
      this.#remember(found.history, found.machines);
      return;
    }
    log.error(
      { why: found.history.restored!.why },
      'the database is an older state: devices are read, nothing is done',
    );
    await this.compare();
    if (this.closed) this.#watching = this.#watch();
  }

  /** An operation has begun: written down beside the database, so that an older state is known as such. */
  note(id: MachineId, operations: number): void {
    if (!this.#begun || this.#closed) return;
    try {
      this.#parts.file.note(id, operations);
    } catch (thrown) {
      // Worth less than the operation: the devices are compared after a restore all the same.
      this.#parts.log.warn({ error: asCodedError(thrown).message }, 'history file not written');
    }
  }

  /** Reads all devices, once more if they were read before, and keeps in what each machine differs. */
  compare(): Promise<void> {
    this.#comparing ??= this.#compare().finally(() => (this.#comparing = null));
    return this.#comparing;
  }

  async report(): Promise<RestoreReport> {
    return this.#parts.storage.run(async (tx) => {
      const { restored } = await tx.history.read();
      if (!this.#closed || restored === null) return { pending: null, machines: [], unknown: [], same: 0 };
      const compared = differing(await tx.history.machines());
      const claims = new Map((await tx.claims.list()).map((claim) => [claim.machineId, claim.externalId]));
      const all = await tx.machines.list();
      const machines = all.flatMap(({ id, hostname, state }) => {
        const differences = compared.get(id);
        return differences ? [{ id, hostname, state, holder: claims.get(id) ?? null, differences }] : [];
      });
      const { unknown = [], ...pending } = restored;
      const same = pending.comparedAt === null ? null : all.length - machines.length;
      return { pending, machines, unknown, same };
    });
  }

  /**
   * A person has looked: the service goes to work. What differs is settled as chosen, quarantined where nothing was chosen.
   * @throws ServiceError `request.not-found` where nothing is pending, `request.invalid` for a choice that cannot be
   */
  async accept(
    choices: Choices,
    by: Asker,
  ): Promise<readonly { readonly hostname: string; readonly done: string }[]> {
    authorise(by, 'restore.accept');
    await this.#comparing;
    if (!this.#closed)
      throw new ServiceError({
        code: 'request.not-found',
        what: 'no restored database waits to be accepted',
      });
    // What the devices show now is what is adopted.
    const look = await this.#parts.survey.look();
    return this.#accept(choices, by, look);
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the service stops'));
    await this.#watching;
    await this.#comparing?.catch(() => undefined);
  }

  async #compare(): Promise<void> {
    const { clock, log, storage } = this.#parts;
    let told = 0;
    const look = await this.#parts.survey.look(({ done, last, of }) => {
      if (Math.floor((done * 10) / of) === told) return;
      told = Math.floor((done * 10) / of);
      log.info({ done, of, last }, 'reading devices');
    });
    const { readings, stored } = look;
    const found = new Map<MachineId, readonly Difference[]>();
    for (const machine of stored.machines) {
      const differences = differencesOf(machine, stored, readings, this.#lost);
      if (differences.length === 0) continue;
      found.set(machine.id, differences);
      for (const { kind, what } of differences)
        log.warn({ machine: machine.hostname, kind }, `not as the restored database says: ${what}`);
    }
    const unknown = unknownDifferences(stored, readings, this.#lost);
    for (const { kind, what } of unknown) log.warn({ kind }, `not as the restored database says: ${what}`);
    const pending = await storage.run(async (tx) => {
      const history = await tx.history.read();
      if (!isPending(history)) return false;
      const counted = new Map((await tx.history.machines()).map((one) => [one.machineId, one]));
      for (const { id } of stored.machines) {
        const before = counted.get(id) ?? { machineId: id, operations: 0, compared: null };
        await tx.history.putMachine({ ...before, compared: found.get(id) ?? [] });
      }
      const restored = { ...history.restored!, comparedAt: clock.now(), unknown };
      await tx.history.update({ ...history, restored });
      return true;
    });
    // Another instance was told, or found nothing itself, while this one read.
    if (!pending) return this.#openAsOthers();
    if (found.size + unknown.length > 0) {
      log.error(
        { machines: found.size, unknown: unknown.length },
        'differences found: see csbm restore show, then csbm restore accept',
      );
      return;
    }
    log.warn(
      { machines: stored.machines.length },
      'every machine is as the database says: the service goes on',
    );
    await this.#accept(new Map(), null, look).catch((thrown: unknown) => {
      if (asCodedError(thrown).code !== 'request.not-found') throw thrown;
      return this.#openAsOthers();
    });
  }

  async #accept(
    choices: Choices,
    by: Asker | null,
    look: Awaited<ReturnType<Survey['look']>>,
  ): Promise<readonly { readonly hostname: string; readonly done: string }[]> {
    const { boots, clock, events, log, metrics, storage } = this.#parts;
    const remembered = this.#parts.file.read();
    const { history, machines, settled } = await storage.run(async (tx) => {
      const pending = await tx.history.read();
      if (!isPending(pending))
        throw new ServiceError({ code: 'request.not-found', what: 'it was accepted meanwhile' });
      const kept = new Map((await tx.history.machines()).map((one) => [one.machineId, one]));
      const named = await byName(tx, choices);
      const done: { machine: Machine; hostname: string; done: string; ended: string | null }[] = [];
      for (const machine of look.stored.machines) {
        const choice = named.get(machine.id);
        named.delete(machine.id);
        const now = differencesOf(machine, look.stored, look.readings, this.#lost);
        // What came back into line since it was named was still different when the person looked.
        const differences = now.length > 0 ? now : (kept.get(machine.id)?.compared ?? []);
        if (differences.length === 0 && !choice) continue;
        const world = { boots, clock, log, metrics };
        const result = await settleMachine(tx, world, {
          machine,
          ...look,
          differences,
          choice,
          by: by?.principal ?? ourselves,
        });
        done.push({ machine, hostname: machine.hostname, ...result });
      }
      await keepStrangers(tx, { clock }, look.stored, look.readings);
      for (const one of await this.#counted(tx, remembered)) await tx.history.putMachine(one);
      const at = clock.now();
      const restored = { ...pending.restored!, acceptedAt: at, unknown: undefined };
      const generation = Math.max(pending.generation, remembered?.generation ?? 0) + 1;
      const starts = Math.max(pending.starts, remembered?.starts ?? 0) + 1;
      const stored = await tx.history.update({ ...pending, generation, starts, restored });
      await tx.alarms.insert({
        id: newSortableId('al', at),
        at,
        code: 'restore.accepted',
        machineId: null,
        text: acceptedText(pending.restored!, by, done),
      });
      return { history: stored, machines: await tx.history.machines(), settled: done };
    });
    this.#remember(history, machines);
    this.#closed = false;
    this.#stopping.abort(new Error('accepted'));
    metrics.alarms.inc({ code: 'restore.accepted' });
    log.warn({ by: by && requesterOf(by), machines: settled.length }, 'restored database accepted');
    for (const { machine, ended } of settled) {
      const operation = ended === null ? null : await storage.run((tx) => tx.journal.find(ended));
      if (operation) events.emit('operation', operation);
      events.emit('machine', { machineId: machine.id });
    }
    return settled.map(({ done, hostname }) => ({ hostname, done }));
  }

  /** The counters as they were before the restore, so that they never count the same twice; nothing of the comparison is kept. */
  async #counted(tx: Tx, remembered: ReturnType<HistoryFile['read']>): Promise<readonly MachineHistory[]> {
    const { databaseId } = await tx.history.read();
    const before = remembered?.databaseId === databaseId ? remembered.machines : new Map<MachineId, number>();
    const counted = new Map((await tx.history.machines()).map((one) => [one.machineId, one.operations]));
    for (const [id, count] of before) counted.set(id, Math.max(count, counted.get(id) ?? 0));
    return [...counted].map(([machineId, operations]) => ({ machineId, operations, compared: null }));
  }

  #remember({ databaseId, generation, starts }: History, machines: readonly MachineHistory[]): void {
    const counts = new Map(machines.map(({ machineId, operations }) => [machineId, operations]));
    try {
      this.#parts.file.write({ databaseId, generation, starts, machines: counts });
    } catch (thrown) {
      // The disk is full, say: what the file knew before is less than this, and never wrong.
      this.#parts.log.warn({ error: asCodedError(thrown).message }, 'history file not written');
    }
  }

  /** Goes to work where another instance was told to. */
  async #openAsOthers(): Promise<void> {
    const { log, storage } = this.#parts;
    const [history, machines] = await storage.run(
      async (tx) => [await tx.history.read(), await tx.history.machines()] as const,
    );
    if (isPending(history) || !this.#closed) return;
    this.#remember(history, machines);
    this.#closed = false;
    log.warn('restored database accepted at another instance');
  }

  /** Another instance on the same database may be the one that is told. */
  async #watch(): Promise<void> {
    const { clock, log, lookInterval } = this.#parts;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await clock.sleep(lookInterval, signal).catch(() => undefined);
      if (!this.closed) return;
      try {
        await this.#openAsOthers();
      } catch (thrown) {
        log.warn({ error: asCodedError(thrown).message }, 'not known whether the restore was accepted');
      }
    }
  }
}

const nothingYet = { backupAt: null, comparedAt: null, acceptedAt: null } as const;

/** How often an instance looks whether another one was told to go on, unless said otherwise. */
export const defaultLookInterval = milliseconds(2_000);

function isPending({ restored }: History): boolean {
  return restored !== null && restored.acceptedAt === null;
}

function differing(machines: readonly MachineHistory[]): ReadonlyMap<MachineId, readonly Difference[]> {
  return new Map(
    machines.flatMap(({ machineId, compared }) => (compared?.length ? [[machineId, compared] as const] : [])),
  );
}

/** @throws ServiceError `machine.unknown` */
async function byName(tx: Tx, choices: Choices): Promise<Map<MachineId, Choice>> {
  const named = new Map<MachineId, Choice>();
  for (const [name, choice] of choices) {
    const machine = (await tx.machines.find(name as MachineId)) ?? (await tx.machines.findByHostname(name));
    if (!machine) throw new ServiceError({ code: 'machine.unknown', what: `there is no machine "${name}"` });
    named.set(machine.id, choice);
  }
  return named;
}

function acceptedText(
  { why }: Restored,
  by: Asker | null,
  done: readonly { readonly hostname: string; readonly done: string }[],
): string {
  const who = by === null ? 'every machine was as it says' : `accepted by ${by.principal}`;
  const each = done.map((one) => `${one.hostname}: ${one.done}`);
  return [`the database is an older state (${why}); ${who}`, ...each].join('; ');
}
