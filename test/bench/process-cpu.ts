import { readFileSync } from 'node:fs';

/** USER_HZ: what /proc counts in; 100 on every architecture that Linux has today. */
const ticksPerSecond = 100;

/** CPU seconds (user and system) that a process and its living children have used so far. Linux only. */
export function processCpu(pid: number): number {
  // The name before it is in brackets and may hold spaces: fields are counted from behind it (proc(5): utime is 14, stime 15).
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const own = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return children
    .split(' ')
    .reduce((sum, child) => (child === '' ? sum : sum + processCpu(Number(child))), own);
}
