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

/** A statement composed once: its text, and what stands at each placeholder. */
interface Composed {
  readonly text: string;
  readonly slots: readonly Slot[];
}

interface Slot {
  /** Which of the values. */
  readonly index: number;
  /** By which the value is converted for the database; null = it goes in as it is. */
  readonly column: ColumnMetadata | null;
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
  readonly #converted: ReadonlySet<ColumnMetadata>;
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
    this.#converted = new Set(
      metadata.columns.filter((column) => column.transformer !== undefined || column.type === 'simple-json'),
    );
    this.#byProperty = new Map(metadata.columns.map((column) => [column.propertyName, column]));
  }

  columnName(property: keyof Row & string): string {
    return this.#byProperty.get(property)!.databaseName;
  }

  select(session: Session, where: Where<Row>, options: SelectOptions<Row> = {}): Promise<Row[]> {
    return this.#select(session, null, where, options);
  }

  /** Only some columns of the rows that match, in no order: for reading much of a table whose other columns are large. */
  selectColumns<K extends keyof Row & string>(
    session: Session,
    properties: readonly K[],
    where: Where<Row>,
  ): Promise<Pick<Row, K>[]> {
    return this.#select(session, properties, where, {});
  }

  /** @param properties null = all */
  async #select(
    session: Session,
    properties: readonly string[] | null,
    where: Where<Row>,
    options: SelectOptions<Row>,
  ): Promise<Row[]> {
    const { after, below } = options;
    const { shape, values } = conditionOf(where, after, below);
    const lock = options.lock === true && !this.#sqlite;
    const ordered = options.order ? Object.entries(options.order).join() : '';
    const columns = properties?.join() ?? '*';
    const composed = this.#compose(
      `select ${columns} ${shape} ${ordered} ${options.limit ?? ''} ${lock}`,
      () => {
        const { texts, names } = textsOf(shape, 't.');
        const order = Object.entries(options.order ?? {}) as [string, 'ASC' | 'DESC'][];
        const builder = this.#source.createQueryBuilder().select([]).from(this.#schema, 't');
        for (const property of properties ?? this.#columns.map(({ propertyName }) => propertyName))
          builder.addSelect(`t.${property}`, property);
        for (const text of texts) builder.andWhere(text);
        for (const [property, direction] of order) builder.addOrderBy(`t.${property}`, direction);
        if (options.limit !== undefined) builder.limit(options.limit);
        if (lock) builder.setLock('pessimistic_write');
        return [builder, names];
      },
    );
    const { rows } = await session.execute(composed.text, this.#bind(composed, values));
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
    const { shape, values } = conditionOf(where, {}, options.below);
    const composed = this.#compose(`count ${shape}`, () => {
      const { texts, names } = textsOf(shape, 't.');
      const builder = this.#source.createQueryBuilder().select('COUNT(*)', 'rows').from(this.#schema, 't');
      for (const text of texts) builder.andWhere(text);
      return [builder, names];
    });
    const { rows } = await session.execute(composed.text, this.#bind(composed, values));
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
    const { shape, values: matched } = conditionOf(where);
    const properties = Object.keys(values);
    const composed = this.#compose(`update ${properties.join()} ${shape}`, () => {
      const { texts, names } = textsOf(shape);
      const builder = this.#source
        .createQueryBuilder()
        .update(this.#schema)
        .set(Object.fromEntries(properties.map((p) => [p, () => `:set_${p}`])) as never)
        .where(texts.join(' AND '));
      return [builder, [...properties.map((p) => `set_${p}`), ...names]];
    });
    const bound = this.#bind(composed, [...(Object.values(values) as unknown[]), ...matched]);
    return (await session.execute(composed.text, bound)).affected;
  }

  /** Adds one to a column of the rows that match; gives their number. */
  async increment(session: Session, property: keyof Row & string, where: Where<Row>): Promise<number> {
    const { shape, values } = conditionOf(where);
    const composed = this.#compose(`increment ${property} ${shape}`, () => {
      const { texts, names } = textsOf(shape);
      const column = this.#source.driver.escape(this.columnName(property));
      const builder = this.#source
        .createQueryBuilder()
        .update(this.#schema)
        .set({ [property]: () => `${column} + 1` } as never)
        .where(texts.join(' AND '));
      return [builder, names];
    });
    return (await session.execute(composed.text, this.#bind(composed, values))).affected;
  }

  /** Deletes the rows that match; gives their number. */
  delete(session: Session, where: Where<Row>): Promise<number> {
    return this.#delete(session, conditionOf(where));
  }

  /** Deletes the rows whose column is less than the value; gives their number. */
  deleteBelow(session: Session, property: keyof Row & string, value: unknown): Promise<number> {
    return this.#delete(session, conditionOf({}, {}, { [property]: value }));
  }

  async #delete(session: Session, { shape, values }: Condition): Promise<number> {
    const composed = this.#compose(`delete ${shape}`, () => {
      const { texts, names } = textsOf(shape);
      const builder = this.#source
        .createQueryBuilder()
        .delete()
        .from(this.#schema)
        .where(texts.join(' AND ') || '1 = 1');
      return [builder, names];
    });
    return (await session.execute(composed.text, this.#bind(composed, values))).affected;
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
      return [builder, rows.flatMap((_, i) => properties.map((p) => `set${i}_${p}`))];
    });
    const values: unknown[] = [];
    for (const row of rows) for (const property of properties) values.push(row[property]);
    await session.execute(composed.text, this.#bind(composed, values));
  }

  /**
   * The statement of a shape, built when it is first used.
   * @param build gives a builder, and a name for each value in the order in which values of this shape come. The names go to the
   * builder as the values: in the order in which it hands them back the values are bound.
   */
  #compose(shape: string, build: () => [builder: Builder, names: readonly string[]]): Composed {
    let composed = this.#composed.get(shape);
    if (!composed) {
      const [builder, names] = build();
      const [text, order] = builder
        .setParameters(Object.fromEntries(names.map((name) => [name, name])))
        .getQueryAndParameters() as [string, string[]];
      const slots = order.map((name) => {
        const column = this.#byProperty.get(name.slice(name.indexOf('_') + 1))!;
        return { index: names.indexOf(name), column: this.#converted.has(column) ? column : null };
      });
      composed = { text, slots };
      this.#composed.set(shape, composed);
    }
    return composed;
  }

  #bind({ slots }: Composed, values: readonly unknown[]): unknown[] {
    const { driver } = this.#source;
    return slots.map(({ index, column }) =>
      column === null ? values[index] : (driver.preparePersistentValue(values[index], column) as unknown),
    );
  }

  #hydrate(row: Record<string, unknown>): Row {
    const { driver } = this.#source;
    for (const column of this.#converted) {
      if (!(column.propertyName in row)) continue;
      row[column.propertyName] = driver.prepareHydratedValue(row[column.propertyName], column);
    }
    return row as Row;
  }
}

/** What TypeORM's builders of all kinds of statements have in common here. */
interface Builder {
  setParameters(parameters: ObjectLiteral): { getQueryAndParameters(): [string, unknown[]] };
}

interface Condition {
  /** `relation property`, and of `in` how many values, for each column. */
  readonly shape: string;
  /** In the order of the shape. */
  readonly values: readonly unknown[];
}

/** On the way of every statement: what tells conditions of different text apart, and what is bound to that text. */
function conditionOf(where: object, after?: object, below?: object): Condition {
  let shape = '';
  const values: unknown[] = [];
  for (const property in where) {
    const value = (where as Record<string, unknown>)[property];
    if (value === null) shape += `null ${property};`;
    else if (value === notNull) shape += `notNull ${property};`;
    else if (Array.isArray(value)) {
      shape += `in ${property} ${value.length};`;
      for (const one of value as unknown[]) values.push(one);
    } else {
      shape += `is ${property};`;
      values.push(value);
    }
  }
  for (const property in after) {
    shape += `after ${property};`;
    values.push((after as Record<string, unknown>)[property]);
  }
  for (const property in below) {
    shape += `below ${property};`;
    values.push((below as Record<string, unknown>)[property]);
  }
  return { shape, values };
}

/** The texts of a condition, which its shape alone decides, and a name for each of its values. */
function textsOf(shape: string, prefix = ''): { readonly texts: string[]; readonly names: string[] } {
  const names: string[] = [];
  const texts = shape.split(';').flatMap((term) => {
    if (term === '') return [];
    const [relation, property, count] = term.split(' ');
    const column = `${prefix}${property}`;
    if (relation === 'null') return `${column} IS NULL`;
    if (relation === 'notNull') return `${column} IS NOT NULL`;
    const own = Array.from({ length: Number(count ?? 1) }, (_, i) => `${relation}${i}_${property}`);
    names.push(...own);
    if (relation === 'after') return `${column} > :${own[0]}`;
    if (relation === 'below') return `${column} < :${own[0]}`;
    if (relation === 'is') return `${column} = :${own[0]}`;
    return own.length === 0 ? '1 = 0' : `${column} IN (${own.map((name) => `:${name}`).join(', ')})`;
  });
  return { texts, names };
}
