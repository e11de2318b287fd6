import { readdir, readFile } from 'node:fs/promises';
import type { Clock, Duration } from '../../../../../plugin-api/index.ts';

/** A running process. Its start (clock ticks since the host's boot) tells it from a later one with the same pid. */
export interface OwnProcess {
  readonly pid: number;
  readonly started: string;
}

/**
 * The processes whose command line ends with exactly these arguments, whoever started them. The process table is asked and no
 * pid file, because one that was not yet written, or is out of date, names none or the wrong one.
 */
export async function findProcesses(args: readonly string[]): Promise<readonly OwnProcess[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found: OwnProcess[] = [];
  for (const pid of pids) {
    const started = await startOf(pid, args);
    if (started !== null) found.push({ pid, started });
  }
  return found;
}

/** Ends one of them: asks, and after `patience` forces it. It is looked at again before each signal. */
export async function endProcess(
  one: OwnProcess,
  args: readonly string[],
  clock: Clock,
  { patience, look }: { readonly patience: Duration; readonly look: Duration },
): Promise<void> {
  const lives = async (): Promise<boolean> => (await startOf(one.pid, args)) === one.started;
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!(await lives())) return;
    send(one.pid, signal);
    const end = clock.monotonic() + patience;
    while (clock.monotonic() < end) {
      if (!(await lives())) return;
      await clock.sleep(look);
    }
  }
  if (await lives()) throw new Error(`process ${one.pid} does not end`);
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EPERM')
      throw new Error(`process ${pid}, a dnsmasq of ours, belongs to another user: end it`, { cause: error });
    // It ended meanwhile.
    if (code !== 'ESRCH') throw error;
  }
}

/** When the process started; null = it is gone, or is another one. A zombie has no command line (proc(5)). */
async function startOf(pid: number, args: readonly string[]): Promise<string | null> {
  try {
    const line = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').slice(0, -1);
    if (line.length <= args.length || line.slice(-args.length).join('\0') !== args.join('\0')) return null;
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // Field 22, counted after the program's name, which is in parentheses and may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw error;
  }
}
