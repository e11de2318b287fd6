// Restores the backup of its first argument (JSON, see RestorerArguments), and dies by its own SIGKILL at one of the points that lie
// before and after each call that changes a name or makes contents durable, and after each table that is filled. Unkilled it prints
// as JSON what the folder looked like at each point.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';
import { Secret } from '../../../plugin-api/index.ts';
import { restoreSqlite } from '../../../src/store/backup/restore-backup.ts';
import type { SqliteEngine } from '../../../src/store/sqlite-handle.ts';

export interface RestorerArguments {
  readonly file: string;
  readonly from: string;
  /** Base64. */
  readonly key: string;
  readonly engine: SqliteEngine;
  /** Number of the point at which it dies; null = it does not. */
  readonly killAt: number | null;
  /** False: as on a file system that has no second names. */
  readonly links: boolean;
}

const { file, from, key, engine, killAt, links } = JSON.parse(process.argv[2]!) as RestorerArguments;
const { lstatSync, readdirSync, realpathSync } = fs;
const folder = realpathSync(dirname(file));
const states: string[] = [];
let points = 0;

function point(): void {
  if (points === killAt) process.kill(process.pid, 'SIGKILL');
  points += 1;
  if (killAt !== null) return;
  // What is beside the databases, and the log of the draft, tell of nothing that a restart would look at.
  const names = readdirSync(folder).filter((name) => !/\.lock|\.pid$|\.restoring-(wal|shm)$/.test(name));
  const shown = names.map((name) => {
    const { ino, nlink, size } = lstatSync(join(folder, name));
    return [name, ino, nlink, size > 0].join(' ');
  });
  states.push(shown.join('\n'));
}

const changing = [
  ...['chmodSync', 'chownSync', 'copyFileSync', 'fsyncSync', 'linkSync', 'mkdirSync', 'openSync'],
  ...['renameSync', 'rmSync', 'truncateSync', 'unlinkSync', 'writeFileSync'],
] as const;
const calls = fs as unknown as Record<string, (...values: unknown[]) => unknown>;
for (const name of changing) {
  const call = calls[name]!;
  calls[name] = (...values) => {
    // What the loading of modules does is none of the restore's.
    if (typeof values[0] === 'string' && !values[0].startsWith(folder)) return call(...values);
    point();
    if (name === 'linkSync' && !links)
      throw Object.assign(new Error('EPERM'), { code: 'EPERM', syscall: 'link' });
    try {
      return call(...values);
    } finally {
      point();
    }
  };
}
syncBuiltinESMExports();

await restoreSqlite({ file, from, key: { base64: new Secret(key) }, engine, now: 0, onProgress: point });
process.stdout.write(JSON.stringify(states));
