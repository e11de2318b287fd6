export interface TranscriptEntry {
  /** Number of the session on this switch, from 1. */
  readonly session: number;
  /** TCP port of the other end. */
  readonly from: number;
  readonly user: string;
  /** The prompt or question that the line answered. */
  readonly prompt: string;
  /** As typed; secrets are `***`. */
  readonly line: string;
  /** Keywords written out; null when the switch did not understand. */
  readonly expanded: string | null;
  readonly refused: boolean;
}

/** Everything that was typed into one switch, in order, without secrets. */
export class Transcript {
  readonly #entries: TranscriptEntry[] = [];
  readonly #listeners = new Set<(entry: TranscriptEntry) => void>();

  get entries(): readonly TranscriptEntry[] {
    return this.#entries;
  }

  /** The commands as typed, of one session or of all. */
  lines(session?: number): string[] {
    return this.#entries
      .filter((entry) => session === undefined || entry.session === session)
      .map((entry) => entry.line);
  }

  /** Calls `listener` with each command that was carried out, before it is answered; the returned function ends it. */
  onCommand(listener: (entry: TranscriptEntry) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  command(entry: TranscriptEntry): void {
    const kept = {
      ...entry,
      line: withoutSecret(entry.line),
      expanded: entry.expanded === null ? null : withoutSecret(entry.expanded),
    };
    this.#entries.push(kept);
    for (const listener of this.#listeners) listener(kept);
  }

  answer(session: number, from: number, question: string, line: string): void {
    this.#entries.push({ session, from, user: '', prompt: question, line, expanded: null, refused: false });
  }

  clear(): void {
    this.#entries.length = 0;
  }
}

/** `username x password y privilege 15` and the like: what follows the word is not kept. */
function withoutSecret(line: string): string {
  return line.replace(/\b(password|secret)\s+(?=\S).*$/i, '$1 ***');
}
