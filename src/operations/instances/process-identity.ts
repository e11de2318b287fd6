import { readFileSync, readlinkSync } from 'node:fs';

/**
 * Which process this is, as text: the boot of the kernel, the name space of its process numbers, the number, and when the
 * kernel started it (proc(5), `/proc/pid/stat`). Two processes that agree in the first two share one numbering, so that
 * either can see whether the other is still there. Empty where the system tells none of it: then nobody can.
 */
export function currentProcess(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const started = startOf(process.pid);
    return started === null ? '' : `${boot} ${pidSpace()} ${process.pid} ${started}`;
  } catch {
    return '';
  }
}

/** Whether that process has certainly ended. False also where that cannot be seen from here. */
export function isProvablyDead(identity: string): boolean {
  const [boot, space, pid, started] = identity.split(' ');
  const [ownBoot, ownSpace] = currentProcess().split(' ');
  if (!boot || !space || !pid || !started || boot !== ownBoot || space !== ownSpace) return false;
  try {
    return startOf(Number(pid)) !== started;
  } catch (error) {
    // Processes of other users may be hidden in /proc (`hidepid`, `ProtectProc=`, proc(5)); signals still find them.
    return (error as NodeJS.ErrnoException).code === 'ENOENT' && !hasProcess(Number(pid));
  }
}

/** kill(2) with signal 0: whether there is a process of that number, whoever's. */
function hasProcess(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

const pidSpace = (): string => readlinkSync('/proc/self/ns/pid').replace(/\s/g, '');

/** When the kernel started the process, in its ticks; null for one that has ended and waits to be reaped. */
function startOf(pid: number): string | null {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The program's name comes in brackets, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  return state === 'Z' || state === 'X' ? null : (fields[19] ?? null);
}
