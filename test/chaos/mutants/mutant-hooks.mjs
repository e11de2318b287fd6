/** Module hooks: the text of an edited module is replaced while it is loaded. One that no longer fits ends the process. */
import { applyEdit } from './apply-edit.mjs';

let edits = [];

export async function initialize(data) {
  edits = data;
}

export async function load(url, context, nextLoad) {
  const loaded = await nextLoad(url, context);
  const mine = edits.filter(({ file }) => url.endsWith(`/${file}.js`) || url.endsWith(`/${file}.ts`));
  if (mine.length === 0) return loaded;
  return { ...loaded, source: mine.reduce(applyEdit, String(loaded.source)) };
}
