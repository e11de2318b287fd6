import type { DataSource, EntitySchema, ObjectLiteral } from 'typeorm';
import { ServiceError } from '../kernel/errors/service-error.ts';
import type { Session } from './session.ts';

/** Every given column equals its value, or one of the values of an array; `null` and `notNull` ask for just that. */
export type Where<Row> = { readonly [K in keyof Row]?: Row[K] | readonly Row[K][] | typeof notNull };
export const notNull = Symbol('not null');

export interface SelectOptions<Row> {
  readonly order?: { readonly [K in keyof Row]?: 'ASC' | 'DESC' };
  readonly limit?: number;
  /** Only rows whose column is greater than this: for reading a table in pieces, in the order of that column. */
  readonly after?: { readonly [K in keyof Row]?: Row[K] };
  /** Only rows whose column is less than this. */
  readonly below?: { readonly [K in keyof Row]?: Row[K] };
  /**
   * Nobody else changes these rows until the end of the unit: for what is read, changed and written without comparing a
   * version. SQLite has one unit at a time, and nothing to lock.
   */
  readonly lock?: boolean;
}

type ColumnMetadata = ReturnType<DataSource['getMetadata']>['columns'][number];

/** A statement composed once: its text, and which value stands at which placeholder. */
interface Composed {
  readonly text: string;
  readonly order: readonly string[];
}

/** Rows of one multi-row INSERT: well below SQLite's 32766 and MySQL's 65535 parameters for any table here. */
const rowsPerInsert = 200;

/**
 * One table. TypeORM's query builder composes each shape of statement once, in the dialect of the database; afterwards only
 * values are bound to the prepared text, because building a query costs more than running it. Nothing of entities,
 * identity maps or `save()` is used (it accepts stale versions and rewinds them).
 */
export class Table<Row extends ObjectLiteral> {
  readonly name: string;
  readonly #source: DataSource;
  readonly #schema: EntitySchema<Row>;
  readonly #columns: readonly ColumnMetadata[];
  /** Columns whose values are not the same in the row as in the database. */
  readonly #converted: readonly ColumnMetadata[];
  readonly #byProperty: ReadonlyMap<string, ColumnMetadata>;
  readonly #composed = new Map<string, Composed>();
  readonly #sqlite: boolean;
  readonly #onlyKey: boolean;

  constructor(source: DataSource, schema: EntitySchema<Row>) {
    this.#source = source;
    this.#schema = schema;
    const metadata = source.getMetadata(schema);
    this.name = metadata.tableName;
    this.#columns = metadata.columns;
    this.#sqlite = source.options.type === 'better-sqlite3';
    this.#onlyKey = metadata.indices.every(({ isUnique }) => !isUnique);
    this.#converted = metadata.columns.filter(
      (column) => column.transformer !== undefined || column.type === 'simple-json',
    );
    this.#byProperty = new Map(metadata.columns.map((column) => [column.propertyName, column]));
  }

  columnName(property: keyof Row & string): string {
    return this.#byProperty.get(property)!.databaseName;
  }

  async select(session: Session, where: Where<Row>, options: SelectOptions<Row> = {}): Promise<Row[]> {
    const parts = conditions(where, options.after, options.below);
    const order = Object.entries(options.order ?? {}) as [string, 'ASC' | 'DESC'][];
    const lock = options.lock === true && !this.#sqlite;
    const shape = `select ${parts.shape} ${order.flat().join()} ${options.limit ?? ''} ${lock}`;
    const composed = this.#compose(shape, () => {
      const builder = this.#source.createQueryBuilder().select([]).from(this.#schema, 't');
      for (const column of this.#columns) builder.addSelect(`t.${column.propertyName}`, column.propertyName);
      for (const text of parts.texts('t.')) builder.andWhere(text);
      for (const [property, direction] of order) builder.addOrderBy(`t.${property}`, direction);
      if (options.limit !== undefined) builder.limit(options.limit);
      if (lock) builder.setLock('pessimistic_write');
      return builder.setParameters(parts.names).getQueryAndParameters();
    });
    const { rows } = await session.execute(composed.text, this.#bind(composed, parts.values));
    return rows.map((row) => this.#hydrate(row));
  }

  /** Only some columns of the rows that match, in no order: for reading much of a table whose other columns are large. */
  async selectColumns<K extends keyof Row & string>(
    session: Session,
    properties: readonly K[],
    where: Where<Row>,
  ): Promise<Pick<Row, K>[]> {
    const parts = conditions(where);
    const composed = this.#compose(`select ${properties.join()} ${parts.shape}`, () => {
      const builder = this.#source.createQueryBuilder().select([]).from(this.#schema, 't');
      for (const property of properties) builder.addSelect(`t.${property}`, property);
      for (const text of parts.texts('t.')) builder.andWhere(text);
      return builder.setParameters(parts.names).getQueryAndParameters();
    });
    const { rows } = await session.execute(composed.text, this.#bind(composed, parts.values));
    return rows.map((row) => this.#hydrate(row));
  }

  async find(
    session: Session,
    where: Where<Row>,
    options: Pick<SelectOptions<Row>, 'lock'> = {},
  ): Promise<Row | null> {
    return (await this.select(session, where, { ...options, limit: 1 }))[0] ?? null;
  }

  /** How many rows match. */
  async count(
    session: Session,
    where: Where<Row>,
    options: Pick<SelectOptions<Row>, 'below'> = {},
  ): Promise<number> {
    const parts = conditions(where, {}, options.below);
    const composed = this.#compose(`count ${parts.shape}`, () => {
      const builder = this.#source.createQueryBuilder().select('COUNT(*)', 'rows').from(this.#schema, 't');
      for (const text of parts.texts('t.')) builder.andWhere(text);
      return builder.setParameters(parts.names).getQueryAndParameters();
    });
    const { rows } = await session.execute(composed.text, this.#bind(composed, parts.values));
    return Number(rows[0]!['rows']);
  }

  async insert(session: Session, rows: readonly Row[]): Promise<void> {
    for (let from = 0; from < rows.length; from += rowsPerInsert) {
      await this.#insert(session, 'insert', rows.slice(from, from + rowsPerInsert));
    }
  }

  /** Inserts the row unless one with its key is there; for tables with no other unique columns. */
  insertMissing(session: Session, row: Row): Promise<void> {
    this.#refuseOtherKeys();
    return this.#insert(session, 'insert missing', [row]);
  }

  /** Inserts the row, or overwrites the one with its key; for tables with no other unique columns. */
  put(session: Session, row: Row): Promise<void> {
    this.#refuseOtherKeys();
    return this.#insert(session, 'put', [row]);
  }

  /** Changes columns of the rows that match; gives their number. */
  async update(session: Session, values: Partial<Row>, where: Where<Row>): Promise<number> {
    const parts = conditions(where);
    const properties = Object.keys(values);
    const composed = this.#compose(`update ${properties.join()} ${parts.shape}`, () =>
      this.#source
        .createQueryBuilder()
        .update(this.#schema)
        .set(Object.fromEntries(properties.map((p) => [p, () => `:set_${p}`])) as never)
        .where(parts.texts('').join(' AND '))
        .setParameters({ ...named(properties, 'set_'), ...parts.names })
        .getQueryAndParameters(),
    );
    const bound = new Map(Object.entries(values).map(([p, value]) => [`set_${p}`, value as unknown]));
    for (const [name, value] of parts.values) bound.set(name, value);
    return (await session.execute(composed.text, this.#bind(composed, bound))).affected;
  }

  /** Adds one to a column of the rows that match; gives their number. */
  async increment(session: Session, property: keyof Row & string, where: Where<Row>): Promise<number> {
    const parts = conditions(where);
    const composed = this.#compose(`increment ${property} ${parts.shape}`, () => {
      const column = this.#source.driver.escape(this.columnName(property));
      return this.#source
        .createQueryBuilder()
        .update(this.#schema)
        .set({ [property]: () => `${column} + 1` } as never)
        .where(parts.texts('').join(' AND '))
        .setParameters(parts.names)
        .getQueryAndParameters();
    });
    return (await session.execute(composed.text, this.#bind(composed, parts.values))).affected;
  }

  /** Deletes the rows that match; gives their number. */
  async delete(session: Session, where: Where<Row>): Promise<number> {
    const parts = conditions(where);
    const composed = this.#compose(`delete ${parts.shape}`, () =>
      this.#source
        .createQueryBuilder()
        .delete()
        .from(this.#schema)
        .where(parts.texts('').join(' AND ') || '1 = 1')
        .setParameters(parts.names)
        .getQueryAndParameters(),
    );
    return (await session.execute(composed.text, this.#bind(composed, parts.values))).affected;
  }

  /** Deletes the rows whose column is less than the value; gives their number. */
  async deleteBelow(session: Session, property: keyof Row & string, value: unknown): Promise<number> {
    const composed = this.#compose(`delete below ${property}`, () =>
      this.#source
        .createQueryBuilder()
        .delete()
        .from(this.#schema)
        .where(`${property} < :below_${property}`)
        .setParameters({ [`below_${property}`]: `below_${property}` })
        .getQueryAndParameters(),
    );
    const bound = new Map([[`below_${property}`, value]]);
    return (await session.execute(composed.text, this.#bind(composed, bound))).affected;
  }

  /** MariaDB's ON DUPLICATE KEY means any unique index: it would change the row that another key found. */
  #refuseOtherKeys(): void {
    if (this.#onlyKey) return;
    throw new ServiceError({
      code: 'internal.bug',
      what: `rows of ${this.name} can be the same in more than their key`,
    });
  }

  async #insert(
    session: Session,
    verb: 'insert' | 'insert missing' | 'put',
    rows: readonly Row[],
  ): Promise<void> {
    const properties = this.#columns.map((column) => column.propertyName);
    const composed = this.#compose(`${verb} ${rows.length}`, () => {
      const values = rows.map((_, i) =>
        Object.fromEntries(properties.map((p) => [p, () => `:set${i}_${p}`])),
      );
      const builder = this.#source
        .createQueryBuilder()
        .insert()
        .into(this.#schema)
        .values(values as never)
        .updateEntity(false);
      const keys = this.#columns.filter((column) => column.isPrimary).map((column) => column.databaseName);
      if (verb === 'insert missing') {
        // MariaDB's INSERT IGNORE would also ignore a broken foreign key, and cut a text that is too long.
        if (this.#sqlite) builder.orIgnore();
        else builder.orUpdate(keys, keys);
      }
      if (verb === 'put') {
        const others = this.#columns
          .filter((column) => !column.isPrimary)
          .map((column) => column.databaseName);
        builder.orUpdate(others, keys);
      }
      for (const i of rows.keys()) builder.setParameters(named(properties, `set${i}_`));
      return builder.getQueryAndParameters();
    });
    const bound = new Map<string, unknown>();
    for (const [i, row] of rows.entries())
      for (const property of properties) bound.set(`set${i}_${property}`, row[property]);
    await session.execute(composed.text, this.#bind(composed, bound));
  }

  /** The parameters given to the query builder are their own names: in the order in which it hands them back they are bound. */
  #compose(shape: string, build: () => [string, unknown[]]): Composed {
    let composed = this.#composed.get(shape);
    if (!composed) {
      const [text, order] = build();
      composed = { text, order: order as string[] };
      this.#composed.set(shape, composed);
    }
    return composed;
  }

  #bind(composed: Composed, values: ReadonlyMap<string, unknown>): unknown[] {
    const { driver } = this.#source;
    return composed.order.map((name) => {
      const column = this.#byProperty.get(name.slice(name.indexOf('_') + 1))!;
      return driver.preparePersistentValue(values.get(name), column) as unknown;
    });
  }

  #hydrate(raw: Record<string, unknown>): Row {
    const { driver } = this.#source;
    // A copy, because node:sqlite hands out objects without a prototype.
    const row = { ...raw };
    for (const column of this.#converted) {
      if (!(column.propertyName in row)) continue;
      row[column.propertyName] = driver.prepareHydratedValue(row[column.propertyName], column);
    }
    return row as Row;
  }
}

interface Conditions {
  /** Tells statements of different text apart. */
  readonly shape: string;
  /** Parameters for the query builder: each is its own name. */
  readonly names: Record<string, string>;
  readonly values: ReadonlyMap<string, unknown>;
  texts(prefix: string): readonly string[];
}

function conditions(where: object, after: object = {}, below: object = {}): Conditions {
  const shapes: string[] = [];
  const makers: ((prefix: string) => string)[] = [];
  const values = new Map<string, unknown>();
  for (const [property, value] of Object.entries(where) as [string, unknown][]) {
    if (value === notNull || value === null) {
      const is = value === null ? 'IS NULL' : 'IS NOT NULL';
      shapes.push(`${property} ${is}`);
      makers.push((prefix) => `${prefix}${property} ${is}`);
    } else if (Array.isArray(value)) {
      const names = value.map((_, i) => `in${i}_${property}`);
      for (const [i, name] of names.entries()) values.set(name, value[i]);
      shapes.push(`${property} in ${names.length}`);
      makers.push((prefix) =>
        names.length === 0
          ? '1 = 0'
          : `${prefix}${property} IN (${names.map((name) => `:${name}`).join(', ')})`,
      );
    } else {
      const name = `is_${property}`;
      values.set(name, value);
      shapes.push(property);
      makers.push((prefix) => `${prefix}${property} = :${name}`);
    }
  }
  for (const [property, value] of Object.entries(after) as [string, unknown][]) {
    const name = `after_${property}`;
    values.set(name, value);
    shapes.push(`after ${property}`);
    makers.push((prefix) => `${prefix}${property} > :${name}`);
  }
  for (const [property, value] of Object.entries(below) as [string, unknown][]) {
    const name = `below_${property}`;
    values.set(name, value);
    shapes.push(`below ${property}`);
    makers.push((prefix) => `${prefix}${property} < :${name}`);
  }
  return {
    shape: `where ${shapes.join()}`,
    names: Object.fromEntries([...values.keys()].map((name) => [name, name])),
    values,
    texts: (prefix) => makers.map((make) => make(prefix)),
  };
}

function named(properties: readonly string[], prefix: string): Record<string, string> {
  return Object.fromEntries(properties.map((p) => [`${prefix}${p}`, `${prefix}${p}`]));
}
