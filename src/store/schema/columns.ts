import {
  EntitySchema,
  type EntitySchemaColumnOptions,
  type EntitySchemaIndexOptions,
  type EntitySchemaOptions,
} from 'typeorm';

/**
 * The column types that SQLite, MariaDB and MySQL share: varchar(n), text, int, bigint. Moments are epoch milliseconds in a
 * bigint, never DATETIME, whose zone and precision differ; a flag is 0 or 1.
 */
type Column = EntitySchemaColumnOptions;
type ForeignKey = NonNullable<EntitySchemaOptions<unknown>['foreignKeys']>[number];

export const key = (column: Column): Column => ({ ...column, primary: true });
export const nullable = (column: Column): Column => ({ ...column, nullable: true });
export const renamed = (name: string, column: Column): Column => ({ ...column, name });

export const string = (length: number): Column => ({ type: 'varchar', length });
export const text = (): Column => ({ type: 'text' });
export const json = (): Column => ({ type: 'simple-json' });
export const int = (): Column => ({ type: 'int' });

/** MySQL's driver hands out bigint as text, SQLite's as a number. */
export const bigint = (): Column => ({
  type: 'bigint',
  transformer: {
    to: (value: number | null) => value,
    from: (value: string | number | null) => (value === null ? null : Number(value)),
  },
});

export const flag = (): Column => ({
  type: 'int',
  transformer: {
    to: (value: boolean | null) => (value === null ? null : Number(value)),
    from: (value: number | null) => (value === null ? null : value !== 0),
  },
});

export const index = (name: string, ...columns: string[]): EntitySchemaIndexOptions => ({ name, columns });
export const unique = (name: string, ...columns: string[]): EntitySchemaIndexOptions => ({
  name,
  columns,
  unique: true,
});

/** A foreign key by property names; what happens on delete is always said, on update nothing ever cascades. */
export const foreignKey = (
  name: string,
  columnNames: string[],
  target: string,
  referencedColumnNames: string[],
  onDelete: 'CASCADE' | 'RESTRICT' | 'SET NULL',
): ForeignKey => ({
  name,
  target,
  columnNames,
  referencedColumnNames,
  onDelete,
  onUpdate: 'NO ACTION',
});

/** A table without decorators, which Node's own type stripping refuses; nullable columns are told by {@link nullable} alone. */
export function table<Row extends object>(
  options: Pick<EntitySchemaOptions<Row>, 'name' | 'columns' | 'indices' | 'foreignKeys'>,
): EntitySchema<Row> {
  return new EntitySchema<Row>(options);
}
