/** A table for people: a title line, then rows, as wide as their contents; nothing at all becomes `none`. */
export function table(
  titles: readonly string[],
  rows: readonly (readonly (string | number | null | undefined)[])[],
): string {
  if (rows.length === 0) return 'none';
  const cells = [titles, ...rows.map((row) => row.map((cell) => oneLine(cell)))];
  const widths = titles.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  return cells
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Names and values below each other; entries without a value are left out. */
export function sheet(entries: readonly (readonly [string, string | number | null | undefined])[]): string {
  const told = entries.filter(([, value]) => value !== null && value !== undefined && value !== '');
  const width = Math.max(0, ...told.map(([name]) => name.length));
  return told.map(([name, value]) => `${name.padEnd(width)}  ${String(value)}`).join('\n');
}

function oneLine(cell: string | number | null | undefined): string {
  return cell === null || cell === undefined || cell === '' ? '-' : String(cell).replaceAll('\n', ' ');
}

/** Wall time in UTC, to the second. */
export function time(epoch: number | null | undefined): string | null {
  return epoch === null || epoch === undefined
    ? null
    : `${new Date(epoch).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}

export function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${power === 0 ? bytes : (bytes / 1024 ** power).toFixed(1)} ${units[power]!}`;
}
