import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ServiceError } from '../kernel/errors/service-error.ts';
import type { Terminal } from './terminal.ts';
import { utf8 } from './utf8.ts';

/**
 * The secret in a file. One line end at the end does not belong to it.
 * @throws ServiceError `secret.unresolved`
 */
export function readSecretFile(terminal: Pick<Terminal, 'cwd'>, file: string): string {
  const path = resolve(terminal.cwd, file);
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
    throw new ServiceError({
      code: 'secret.unresolved',
      what: `the secret file cannot be read (${why})`,
      where: path,
      remedy: 'name a file that you can read',
      cause,
    });
  }
  const text = utf8(bytes);
  if (text === null)
    throw new ServiceError({
      code: 'secret.unresolved',
      what: 'the secret file is not text in UTF-8',
      where: path,
      remedy: 'save it in UTF-8: iconv -f LATIN1 -t UTF-8 shows how it would be then',
    });
  return text.replace(/\r?\n$/, '');
}
