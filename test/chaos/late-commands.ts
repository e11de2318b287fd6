import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { LabFloor } from '../../lab/floor/index.ts';
import type { TranscriptEntry } from '../../lab/switch/index.ts';

const tables = ['tcp', 'tcp6', 'udp', 'udp6'] as const;

/** Local ports of the sockets of a process: by these the devices of a floor know who talks to them. Empty once it has ended. */
export function localPorts(pid: number): ReadonlySet<number> {
  const sockets = new Set<string>();
  try {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`)) ?? [];
      if (inode !== undefined) sockets.add(inode);
    }
  } catch {
    return new Set();
  }
  const rows = tables.flatMap((table) =>
    readFileSync(`/proc/self/net/${table}`, 'utf8').split('\n').slice(1),
  );
  // proc(5): number, local address, remote address, state, queues, timer, retransmits, user, timeout, inode.
  const found = rows.map((row) => row.trim().split(/\s+/)).filter((fields) => sockets.has(fields[9] ?? ''));
  return new Set(found.map((fields) => Number.parseInt(fields[1]!.split(':').at(-1)!, 16)));
}

function linkOf(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}

/** What a switch or a BMC is told. */
export interface Told {
  readonly device: 'switch' | 'power';
  readonly what: string;
  /** Local port of whoever told it. */
  readonly from: number;
  /** Whether it changes something, or begins to. */
  readonly changes: boolean;
}

/** Leaving a mode changes nothing. */
function changes({ prompt, line }: TranscriptEntry): boolean {
  if (/^\s*(end|exit|do show .*|show .*)\s*$/.test(line)) return false;
  return /\(conf/.test(prompt) || /^(configure|write|copy)\b/.test(line);
}

/** Chassis Control, Set System Boot Options. */
const bmcChanges: Readonly<Record<string, string>> = { '0.2': 'chassis control', '0.8': 'boot options' };

/** Calls `heard` with each command that a device of the floor gets, before it is answered. The returned function ends it. */
export function watchCommands(floor: LabFloor, heard: (told: Told) => void): () => void {
  const ends = [
    ...floor.switches.map(({ transcript }) =>
      transcript.onCommand((entry) => {
        const what = `${entry.prompt}${entry.line}`;
        heard({ device: 'switch', what, from: entry.from, changes: changes(entry) });
      }),
    ),
    ...floor.machines.map(({ machine, bmc }) =>
      bmc.onCommand(({ key, from }) => {
        const change = bmcChanges[key];
        const what = `BMC of ${machine.name}: ${change ?? `command ${key}`}`;
        heard({ device: 'power', what, from, changes: change !== undefined });
      }),
    ),
  ];
  return () => {
    for (const end of ends) end();
  };
}
