/** White space may differ between the sources and the build. */
function pattern(find) {
  const escaped = find.trim().replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(escaped.replace(/\s+/g, '\\s*'), 'g');
}

/** How often the text that an edit replaces is in a module. */
export function matches(source, { find }) {
  return [...source.matchAll(pattern(find))].length;
}

/** @throws Error unless the text is there exactly once */
export function applyEdit(source, edit) {
  const count = matches(source, edit);
  if (count !== 1) throw new Error(`mutant: ${edit.file} has ${count} times: ${edit.find}`);
  return source.replace(pattern(edit.find), () => edit.replace);
}
