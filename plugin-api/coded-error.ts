/** What a caller may do about an error: `never` = the same request fails again; `later` = waiting helps; `operator` = a person must act. */
export type Retry = 'never' | 'later' | 'operator';

/** The parts of an error's safe outside text (law 11). None of them may carry a secret. */
export interface ErrorParts {
  /** Stable dotted code, listed in `docs/failures.md`. */
  readonly code: string;
  readonly retry: Retry;
  /** What went wrong, one clause. */
  readonly what: string;
  /** Where: a device, machine, file and line. */
  readonly where?: string | undefined;
  /** What the device or the other side said, as close to verbatim as is safe. */
  readonly said?: string | undefined;
  /** What to do about it. */
  readonly remedy?: string | undefined;
  readonly cause?: unknown;
}

/** The base of every expected error: a stable code, a retry class, and a text that is safe to show to anyone. */
export class CodedError extends Error {
  readonly code: string;
  readonly retry: Retry;
  readonly what: string;
  readonly where: string | undefined;
  readonly said: string | undefined;
  readonly remedy: string | undefined;

  constructor(parts: ErrorParts) {
    super(compose(parts), parts.cause === undefined ? undefined : { cause: parts.cause });
    this.name = new.target.name;
    this.code = parts.code;
    this.retry = parts.retry;
    this.what = parts.what;
    this.where = parts.where;
    this.said = parts.said;
    this.remedy = parts.remedy;
  }

  /** The form in which errors are journaled and sent to API clients. */
  toJSON(): ErrorParts {
    return {
      code: this.code,
      retry: this.retry,
      what: this.what,
      where: this.where,
      said: this.said,
      remedy: this.remedy,
    };
  }
}

function compose(parts: ErrorParts): string {
  const where = parts.where ? `${parts.where}: ` : '';
  const said = parts.said ? `; it said: ${parts.said}` : '';
  const remedy = parts.remedy ? `; ${parts.remedy}` : '';
  return `${where}${parts.what}${said}${remedy} [${parts.code}]`;
}
