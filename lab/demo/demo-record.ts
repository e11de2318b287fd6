import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Beginning of the name of every demo's folder. */
export const folderPrefix = 'csbm-demo-';
const recordFile = 'demo.json';

/** A process and what tells it from a later one with the same number. */
export interface KnownProcess {
  readonly pid: number;
  readonly began: string;
}

/** What a demo writes into its folder, so that `make demo-stop` can find and end it. */
export interface DemoRecord {
  readonly demo: KnownProcess;
  readonly service: KnownProcess | null;
  /** The service that plays an upstream MAAS, where there is one. */
  readonly upstream?: KnownProcess | null;
  /** It told its whole story and stays up. */
  readonly kept: boolean;
  /** It failed; its folder is there to be looked at. */
  readonly failed: boolean;
}

export function writeDemoRecord(folder: string, record: DemoRecord): void {
  writeFileSync(path.join(folder, recordFile), `${JSON.stringify(record)}\n`, { mode: 0o600 });
}

/** This user's demo folders, with what stands in them; null where a demo was ended before it could write. */
export function demoFolders(
  parent = tmpdir(),
): { readonly folder: string; readonly record: DemoRecord | null }[] {
  return readdirSync(parent)
    .filter((name) => name.startsWith(folderPrefix))
    .map((name) => path.join(parent, name))
    .filter((folder) => {
      const seen = lstatSync(folder, { throwIfNoEntry: false });
      return seen?.isDirectory() === true && seen.uid === process.getuid?.();
    })
    .map((folder) => ({ folder, record: readRecord(folder) }));
}

function readRecord(folder: string): DemoRecord | null {
  const file = path.join(folder, recordFile);
  if (!existsSync(file)) return null;
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as DemoRecord;
  } catch {
    return null;
  }
}

/** A running process of this user as it will be known later; null when it does not run, is not ours, or cannot be told apart. */
export function knownProcess(pid: number): KnownProcess | null {
  try {
    process.kill(pid, 0);
  } catch {
    return null;
  }
  const began = beginning(pid);
  return began === null ? null : { pid, began };
}

/** Whether this very process still runs. */
export function stillRuns(known: KnownProcess): boolean {
  return knownProcess(known.pid)?.began === known.began;
}

/** When the process began: field 22 of `/proc/PID/stat`, or what `ps` says where there is no /proc. */
function beginning(pid: number): string | null {
  try {
    if (existsSync('/proc/self/stat')) {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The name, in parentheses, may itself hold spaces and parentheses.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      // A process that has ended, but was not waited for yet, runs no more.
      return fields[0] === 'Z' ? null : (fields[22 - 3] ?? null);
    }
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || null;
  } catch {
    return null;
  }
}
