import type { EntitySchema, EntitySchemaColumnOptions, ValueTransformer } from 'typeorm';
import { table } from '../schema/columns.ts';

/**
 * A schema as MariaDB and MySQL keep it: their TEXT ends at 64 KiB, which a sealed rack config or a command's input passes, so
 * that every text is a MEDIUMTEXT (16 MiB, as much as a packet takes by default).
 */
export function mariadbSchema(schema: EntitySchema<object>): EntitySchema<object> {
  const { name, columns, indices, foreignKeys } = schema.options;
  const wide = Object.entries(columns as Readonly<Record<string, EntitySchemaColumnOptions>>).map(
    ([property, column]) => [property, widened(column)] as const,
  );
  return table<object>({
    name,
    columns: Object.fromEntries(wide),
    ...(indices && { indices }),
    ...(foreignKeys && { foreignKeys }),
  });
}

function widened(column: EntitySchemaColumnOptions): EntitySchemaColumnOptions {
  if (column.type === 'text') return { ...column, type: 'mediumtext' };
  if (column.type === 'simple-json') return { ...column, type: 'mediumtext', transformer: json };
  return column;
}

/** What TypeORM does for `simple-json`, whose column is always a TEXT. */
const json: ValueTransformer = {
  to: (value: unknown) => (value === null || value === undefined ? null : JSON.stringify(value)),
  from: (value: string | null) => (value === null ? null : (JSON.parse(value) as unknown)),
};
