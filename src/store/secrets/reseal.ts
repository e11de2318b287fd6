import type { Session } from '../session.ts';
import type { Table } from '../table.ts';
import type { Tables } from '../tables.ts';
import type { KeyRing } from './key-ring.ts';
import type { Sealer } from './sealer.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';

interface SealedColumns {
  readonly table: Table<Record<string, unknown>>;
  readonly key: string;
  readonly properties: readonly string[];
}

/** Rows of one unit of work: short enough that others hardly wait. */
const batch = 100;

/** Every column whose values are sealed. */
function sealedColumns(tables: Tables): readonly SealedColumns[] {
  const list: readonly (readonly [unknown, string, readonly string[]])[] = [
    [tables.machine, 'id', ['bmcPassword', 'bmcKg']],
    [tables.switch, 'name', ['password', 'enablePassword']],
    [tables.rackConfig, 'id', ['text']],
    [tables.deployment, 'id', ['firstBoot']],
    [tables.operation, 'id', ['input', 'context']],
    [tables.bootConversation, 'id', ['payload']],
    [tables.apiKey, 'tokenKey', ['secret']],
  ];
  return list.map(([table, key, properties]) => ({
    table: table as SealedColumns['table'],
    key,
    properties,
  }));
}

export type Run = <T>(work: (session: Session) => Promise<T>) => Promise<T>;

/**
 * Checks that every key with which something may be sealed here is at hand, and notes the sealing one.
 * @throws ServiceError `store.secret` for a key that belongs to another database, or an old one dropped too early.
 */
export async function registerKeys(run: Run, tables: Tables, ring: KeyRing, now: number): Promise<void> {
  await run(async (session) => {
    const used = await tables.secretKey.select(session, {});
    const missing = used.find(({ id }) => !ring.key(id));
    if (missing) {
      throw new ServiceError({
        code: 'store.secret',
        what: `secrets in the database are sealed with the key ${missing.id}, but only ${ring.ids.join(', ')} is at hand`,
        remedy:
          'restore the key that belongs to this database; after a rotation keep the old key until all is sealed anew',
      });
    }
    await tables.secretKey.insertMissing(session, { id: ring.sealing, createdAt: now });
  });
}

/**
 * Seals everything anew that is not sealed with the sealing key, in many short units of work, and then forgets the other
 * keys: they may be dropped from the key file. Gives the number of values. A crash midway loses nothing: call it again.
 */
export async function resealAll(run: Run, tables: Tables, ring: KeyRing, sealer: Sealer): Promise<number> {
  let count = 0;
  for (const columns of sealedColumns(tables)) {
    let last: unknown = '';
    for (;;) {
      const after = last;
      const done = await run((session) => resealBatch(session, columns, after, sealer));
      count += done.count;
      if (done.last === null) break;
      last = done.last;
    }
  }
  await run(async (session) => {
    for (const id of ring.ids) if (id !== ring.sealing) await tables.secretKey.delete(session, { id });
  });
  return count;
}

async function resealBatch(
  session: Session,
  { table, key, properties }: SealedColumns,
  after: unknown,
  sealer: Sealer,
): Promise<{ count: number; last: unknown }> {
  const rows = await table.select(
    session,
    {},
    { after: { [key]: after }, order: { [key]: 'ASC' }, limit: batch },
  );
  let count = 0;
  for (const row of rows) {
    for (const property of properties) {
      const envelope = row[property] as string | null;
      if (envelope === null || sealer.isCurrent(envelope)) continue;
      const place = { table: table.name, row: row[key] as string, field: table.columnName(property) };
      const values = { [property]: sealer.seal(sealer.open(envelope, place), place) };
      // No new version: the record says what it said. Whoever wrote it meanwhile has sealed it with the new key.
      count += await table.update(session, values, { [key]: row[key], [property]: envelope });
    }
  }
  return { count, last: rows.length < batch ? null : rows.at(-1)![key] };
}
