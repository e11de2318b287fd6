import { Os9Refusal } from './os9-refusal.ts';

/** One terminal line in use. */
export interface Os9Line {
  readonly name: string;
  readonly user: string;
  /** Address of the client, or null on the console. */
  readonly from: string | null;
  configuring: boolean;
  /** Holds the configuration lock. */
  exclusive: boolean;
  /** Ends the session, as `clear line` does. */
  readonly close: () => void;
}

/** The terminal lines (`vty0`, ...) and the configuration lock, which belongs to a line, not to a user. */
export class Os9Lines {
  readonly #vtys: (Os9Line | null)[];
  /** A lock held by somebody who is not connected through us, such as the console. */
  #foreign: { readonly user: string; readonly line: string; readonly from: string | null } | null = null;

  constructor(count: number) {
    this.#vtys = Array.from({ length: count }, () => null);
  }

  get busy(): readonly Os9Line[] {
    return this.#vtys.filter((line) => line !== null);
  }

  get free(): number {
    return this.#vtys.filter((line) => line === null).length;
  }

  /** Takes the first free line, or returns null when all are in use. */
  open(user: string, from: string, close: () => void): Os9Line | null {
    const index = this.#vtys.indexOf(null);
    if (index < 0) return null;
    const line: Os9Line = { name: `vty${index}`, user, from, configuring: false, exclusive: false, close };
    this.#vtys[index] = line;
    return line;
  }

  /** Frees a line; its lock vanishes with it. */
  release(line: Os9Line): void {
    const index = this.#vtys.indexOf(line);
    if (index >= 0) this.#vtys[index] = null;
  }

  /** Line number of `clear line vty N`. */
  at(index: number): Os9Line | null {
    return this.#vtys[index] ?? null;
  }

  /** Who holds the configuration lock, or null. */
  get holder(): { readonly user: string; readonly line: string; readonly from: string | null } | null {
    if (this.#foreign) return this.#foreign;
    const line = this.busy.find((candidate) => candidate.exclusive);
    return line ? { user: line.user, line: line.name, from: line.from } : null;
  }

  /** Lets somebody else take the lock (the console by default), until {@link forgetLock}. */
  lockByOther(user = '', line = 'console0', from: string | null = null): void {
    this.#foreign = { user, line, from };
  }

  forgetLock(): void {
    this.#foreign = null;
  }

  /** Enters configuration mode; `exclusive` takes the lock. @throws Os9Refusal when another line prevents it. */
  enterConfiguration(line: Os9Line, exclusive: boolean): void {
    const holder = this.holder;
    if (holder && holder.line !== line.name)
      throw new Os9Refusal(
        `${who(holder.user, holder.line, holder.from)} is in exclusive configuration mode.`,
      );
    const others = this.busy.filter((other) => other !== line && other.configuring);
    if (exclusive && others.length > 0) {
      const list = others.map((other) => who(other.user, other.name, other.from)).join(', ');
      throw new Os9Refusal(
        `Can't lock configuration mode exclusively since the following users are currently configuring the system: ${list}.`,
      );
    }
    line.configuring = true;
    if (exclusive) line.exclusive = true;
  }

  leaveConfiguration(line: Os9Line): void {
    line.configuring = false;
    line.exclusive = false;
  }
}

function who(user: string, line: string, from: string | null): string {
  return `User "${user}" on line ${line}${from === null ? '' : ` ( ${from} )`}`;
}
