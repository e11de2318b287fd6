import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

const folder = fileURLToPath(new URL('corpus', import.meta.url));

/** Inputs that once were crashes, and some that reach far. */
export function corpusOf(target: string): readonly { readonly file: string; readonly input: Buffer }[] {
  const own = join(folder, target);
  if (!existsSync(own)) return [];
  return readdirSync(own)
    .sort()
    .map((file) => ({ file: join(own, file), input: readFileSync(join(own, file)) }));
}

/** Keeps an input for ever; gives its file. */
export function keep(target: string, input: Buffer): string {
  const own = join(folder, target);
  mkdirSync(own, { recursive: true });
  const file = join(own, createHash('sha256').update(input).digest('hex').slice(0, 16));
  writeFileSync(file, input);
  return file;
}
