import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ServiceError } from '../kernel/errors/service-error.ts';
import type { Terminal } from './terminal.ts';

/**
 * The secret in a file. One line end at the end does not belong to it.
 * @throws ServiceError `secret.unresolved`
 */
export function readSecretFile(terminal: Pick<Terminal, 'cwd'>, file: string): string {
  const path = resolve(terminal.cwd, file);
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
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
}
