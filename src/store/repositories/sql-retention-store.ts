import type { PruneOptions, Retained, RetentionStore } from '../../core/storage/timeline.ts';
import type { Session } from '../session.ts';
import { notNull } from '../table.ts';
import type { Tables } from '../tables.ts';
import { inSteps } from './in-steps.ts';

type Pruned = Awaited<ReturnType<RetentionStore['prune']>>;

/** Old rows go in the order of their keys: everything is found by a primary key, and no index is kept just for this. */
export class SqlRetentionStore implements RetentionStore {
  readonly #tables: Tables;
  readonly #session: Session;

  constructor(tables: Tables, session: Session) {
    this.#tables = tables;
    this.#session = session;
  }

  prune(what: Retained, options: PruneOptions): Promise<Pruned> {
    switch (what) {
      case 'timeline':
        return this.#timeline(options);
      case 'operations':
        return this.#operations(options);
      case 'deployments':
        return this.#deployments(options);
      case 'bootConversations':
        return this.#bootConversations(options);
      case 'alarms':
        return this.#alarms(options);
      case 'nonces':
        return this.#nonces(options);
    }
  }

  async #timeline({ before, after, limit, dryRun }: PruneOptions): Promise<Pruned> {
    const { timeline, operation } = this.#tables;
    const rows = await timeline.select(
      this.#session,
      {},
      { order: { id: 'ASC' }, limit, below: { id: sortableAt('ev', before) }, ...afterId(after) },
    );
    const operations = unique(rows.map(({ operationId }) => operationId).filter((id) => id !== null));
    const active = new Set(
      (await operation.select(this.#session, { id: inSteps(operations), activeMachineId: notNull })).map(
        ({ id }) => id,
      ),
    );
    const old = rows.filter(({ operationId }) => operationId === null || !active.has(operationId));
    const ids = old.map(({ id }) => id);
    if (!dryRun && ids.length > 0) await timeline.delete(this.#session, { id: inSteps(ids) });
    return { removed: ids.length, next: nextOf(rows, limit) };
  }

  /** With their steps. The last ended one of a machine stays, whatever its age: it says how the machine came to where it is. */
  async #operations({ before, after, limit, dryRun }: PruneOptions): Promise<Pruned> {
    const { operation } = this.#tables;
    const rows = await operation.select(
      this.#session,
      { activeMachineId: null },
      { order: { id: 'ASC' }, limit, below: { id: sortableAt('op', before) }, ...afterId(after) },
    );
    const last = new Set<string>();
    for (const machineId of unique(rows.map((row) => row.machineId))) {
      const [newest] = await operation.select(
        this.#session,
        { machineId, activeMachineId: null },
        { order: { createdAt: 'DESC', id: 'DESC' }, limit: 1 },
      );
      if (newest) last.add(newest.id);
    }
    const old = rows.filter(({ id, endedAt }) => endedAt !== null && endedAt < before && !last.has(id));
    const ids = old.map(({ id }) => id);
    // Their steps go with them, by the foreign key.
    if (!dryRun && ids.length > 0) await operation.delete(this.#session, { id: inSteps(ids) });
    return { removed: ids.length, next: nextOf(rows, limit) };
  }

  async #deployments({ before, after, limit, dryRun }: PruneOptions): Promise<Pruned> {
    const { deployment } = this.#tables;
    const rows = await deployment.select(
      this.#session,
      { state: 'ended' },
      { order: { id: 'ASC' }, limit, below: { id: sortableAt('op', before) }, ...afterId(after) },
    );
    const old = rows.filter(({ endedAt }) => endedAt !== null && endedAt < before);
    const ids = old.map(({ id }) => id);
    if (!dryRun && ids.length > 0) await deployment.delete(this.#session, { id: inSteps(ids) });
    return { removed: ids.length, next: nextOf(rows, limit) };
  }

  /** Those that are over. An operation that goes on after a long outage may still ask for what came of its own. */
  async #bootConversations({ before, after, limit, dryRun }: PruneOptions): Promise<Pruned> {
    const { bootConversation, operation } = this.#tables;
    const rows = await bootConversation.select(
      this.#session,
      { state: ['done', 'failed', 'withdrawn'] },
      { order: { id: 'ASC' }, limit, below: { id: sortableAt('op', before) }, ...afterId(after) },
    );
    const machines = unique(rows.map(({ machineId }) => machineId));
    const busy = new Set(
      (await operation.select(this.#session, { activeMachineId: inSteps(machines) })).map(
        ({ machineId }) => machineId,
      ),
    );
    const old = rows.filter(
      ({ machineId, lastSeen, armedAt }) => (lastSeen ?? armedAt ?? 0) < before && !busy.has(machineId),
    );
    const ids = old.map(({ id }) => id);
    if (!dryRun && ids.length > 0) await bootConversation.delete(this.#session, { id: inSteps(ids) });
    return { removed: ids.length, next: nextOf(rows, limit) };
  }

  async #alarms({ before, after, limit, dryRun }: PruneOptions): Promise<Pruned> {
    const { alarm } = this.#tables;
    const rows = await alarm.select(
      this.#session,
      {},
      { order: { id: 'ASC' }, limit, below: { at: before }, ...afterId(after) },
    );
    const ids = rows.map(({ id }) => id);
    if (!dryRun && ids.length > 0) await alarm.delete(this.#session, { id: inSteps(ids) });
    return { removed: ids.length, next: nextOf(rows, limit) };
  }

  async #nonces({ before, limit, dryRun }: PruneOptions): Promise<Pruned> {
    const { nonce } = this.#tables;
    const below = { at: before };
    if (dryRun) return { removed: await nonce.count(this.#session, {}, { below }), next: null };
    const rows = await nonce.select(this.#session, {}, { order: { at: 'ASC' }, limit, below });
    for (const tokenKey of unique(rows.map((row) => row.tokenKey))) {
      const nonces = rows.filter((row) => row.tokenKey === tokenKey).map((row) => row.nonce);
      await nonce.delete(this.#session, { tokenKey, nonce: inSteps(nonces) });
    }
    return { removed: rows.length, next: rows.length < limit ? null : '' };
  }
}

/** Everything that was made before the moment has an id below this. */
function sortableAt(prefix: string, at: number): string {
  return `${prefix}-${Math.max(0, Math.floor(at)).toString(16).padStart(12, '0')}`;
}

function afterId(after: string | null): { readonly after?: { readonly id: string } } {
  return after === null ? {} : { after: { id: after } };
}

function nextOf(rows: readonly { readonly id: string }[], limit: number): string | null {
  return rows.length < limit ? null : rows.at(-1)!.id;
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)];
}
