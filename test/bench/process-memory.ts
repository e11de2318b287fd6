import { readFileSync } from 'node:fs';

/** Memory of a process that is in RAM, in MiB: now, and the most that it ever was. Linux only. */
export interface ProcessMemory {
  readonly resident: number;
  readonly residentMost: number;
}

export function memoryOf(pid: number): ProcessMemory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kibibytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)![1]);
  return { resident: kibibytes('VmRSS') / 1_024, residentMost: kibibytes('VmHWM') / 1_024 };
}
