/** The text in lines of at most `width` characters, broken at spaces; a longer word stands alone. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Evidence in lines of at most `width` characters: when it does not fit on one, each clause (`a; b`) begins a new one. */
export function clauses(text: string, width: number): string[] {
  if (text.length <= width) return [text];
  const parts = text.split('; ');
  return parts.flatMap((part, index) => wrapped(index < parts.length - 1 ? `${part};` : part, width));
}

/** Without what people need not read in full: port types, digests, bytes of whole disks. */
export function shortened(text: string): string {
  return text
    .replaceAll('TenGigabitEthernet ', 'Te ')
    .replaceAll(/\((\S+), \d+ bytes\)/g, '($1)')
    .replaceAll(/\b([0-9a-f]{12})[0-9a-f]{52}\b/g, '$1...');
}

/** A table with its columns aligned; a cell may have several lines. */
export function table(head: readonly string[], rows: readonly (readonly (readonly string[])[])[]): string[] {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.flatMap((row) => row[column]!.map((line) => line.length))),
  );
  const lineOf = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd();
  return [
    lineOf(head),
    lineOf(widths.map((width) => '-'.repeat(width))),
    ...rows.flatMap((row) => {
      const height = Math.max(...row.map((cell) => cell.length));
      return Array.from({ length: height }, (_, line) => lineOf(row.map((cell) => cell[line] ?? '')));
    }),
  ];
}
