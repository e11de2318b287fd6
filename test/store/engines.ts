import { isBuiltin } from 'node:module';
import type { SqliteEngine } from '../../src/store/sqlite-handle.ts';

export const engines: readonly SqliteEngine[] = ['libsql', 'node'];

/** `node:sqlite` is there from Node 22.13 on without a flag; where CI requires it (`CI_REQUIRED_PEERS`), its absence fails. */
export function requireEngine(context: Mocha.Context, engine: SqliteEngine): void {
  if (engine === 'libsql' || isBuiltin('node:sqlite')) return;
  const required = (process.env['CI_REQUIRED_PEERS'] ?? '').split(',').map((one) => one.trim());
  if (required.includes('node:sqlite'))
    throw new Error(`node:sqlite is required here and not in Node ${process.version}`);
  process.stderr.write(`    skipped: Node ${process.version} has no node:sqlite\n`);
  context.skip();
}
