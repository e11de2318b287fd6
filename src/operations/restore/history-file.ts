import {
  appendFileSync,
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { MachineId } from '../../core/machine/machine.ts';
import { makeFolder } from '../../kernel/files/make-folder.ts';

/** How far the database was when the service last wrote it down, beside the database. */
export interface RememberedHistory {
  readonly databaseId: string;
  readonly generation: number;
  readonly starts: number;
  /** Operations ever begun, by machine. */
  readonly machines: ReadonlyMap<MachineId, number>;
}

/**
 * A file in the state folder: one line of JSON about the database, then a line `MACHINE NUMBER` for each operation that began.
 * A line is appended after the operation is stored, and not forced to the disk: what a crash takes from the end only means that
 * the file knows less than the database.
 */
export class HistoryFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** null = there is none, or it cannot be understood. */
  read(): RememberedHistory | null {
    let text: string;
    try {
      text = readFileSync(this.path, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
      throw error;
    }
    const [head, ...lines] = text.split('\n');
    const facts = headOf(head ?? '');
    if (!facts) return null;
    const machines = new Map<MachineId, number>();
    // The last one may be cut, by a crash: it ends without a line feed.
    for (const line of lines.slice(0, -1)) {
      const [, id, count] = /^(\S+) (\d+)$/.exec(line) ?? [];
      if (id === undefined) continue;
      machines.set(id as MachineId, Math.max(Number(count), machines.get(id as MachineId) ?? 0));
    }
    return { ...facts, machines };
  }

  /** Writes all of it anew; a crash leaves the old file or the new one. */
  write({ databaseId, generation, starts, machines }: RememberedHistory): void {
    makeFolder(dirname(this.path));
    const draft = `${this.path}.new`;
    const file = openSync(draft, 'w', 0o600);
    try {
      const lines = [...machines].map(([id, count]) => `${id} ${count}\n`);
      writeFileSync(file, `${JSON.stringify({ databaseId, generation, starts })}\n${lines.join('')}`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, this.path);
  }

  note(id: MachineId, operations: number): void {
    // On a line of its own, whatever a full disk or a crash left of the one before.
    appendFileSync(this.path, `\n${id} ${operations}\n`);
  }
}

function headOf(line: string): Omit<RememberedHistory, 'machines'> | null {
  try {
    const value = JSON.parse(line) as Partial<Omit<RememberedHistory, 'machines'>> | null;
    const { databaseId, generation, starts } = value ?? {};
    if (typeof databaseId !== 'string' || typeof generation !== 'number' || typeof starts !== 'number')
      return null;
    return { databaseId, generation, starts };
  } catch {
    return null;
  }
}
