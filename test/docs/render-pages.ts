import { readFileSync } from 'node:fs';
import path from 'node:path';
import { format, resolveConfig } from 'prettier';
import { generatedParts } from './generated-parts.ts';
import { pages, root } from './pages.ts';

const part = /<!-- generated: ([a-z0-9-]+) -->\n[\s\S]*?<!-- end of generated part -->/g;

/** Every page with generated parts, as it should be: file name relative to the root, and text. */
export async function renderPages(): Promise<ReadonlyMap<string, string>> {
  const parts = generatedParts();
  const rendered = new Map<string, string>();
  for (const page of pages()) {
    const file = path.join(root, page);
    const before = readFileSync(file, 'utf8');
    const after = before.replaceAll(part, (_, name: string) => {
      const text = parts.get(name);
      if (text === undefined) throw new Error(`${page} asks for the unknown part "${name}"`);
      return `<!-- generated: ${name} -->\n\n${text}\n\n<!-- end of generated part -->`;
    });
    if (before.includes('<!-- generated: '))
      rendered.set(page, await format(after, { ...(await resolveConfig(file)), parser: 'markdown' }));
  }
  return rendered;
}
