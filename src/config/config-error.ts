import type { ErrorParts } from '../../plugin-api/index.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';

/** One thing that is wrong in the configuration. */
export interface ConfigProblem {
  /** The file, or the environment variable, that says it. */
  readonly source: string;
  /** Line and column from 1; null where an environment variable or a default is at fault. */
  readonly line: number | null;
  readonly column: number | null;
  /** `cloudstack.agent.servers[0]`; empty = the file itself. */
  readonly key: string;
  readonly message: string;
  readonly remedy: string;
}

/** A refused configuration, with everything that is wrong. */
export class ConfigError extends ServiceError {
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    const count = problems.length;
    super({
      code: 'config.invalid',
      what: `the configuration has ${count} problem${count === 1 ? '' : 's'}:\n  ${problems.map(listing).join('\n  ')}\n`,
      remedy: 'correct what is named; docs/config.md lists every key',
    });
    this.problems = problems;
  }

  override toJSON(): ErrorParts & { readonly problems: readonly ConfigProblem[] } {
    return { ...super.toJSON(), problems: this.problems };
  }
}

function listing({ source, line, column, key, message, remedy }: ConfigProblem): string {
  const place = line === null ? source : `${source}, line ${line}, column ${column ?? 1}`;
  return `${place}${key === '' ? '' : `, ${key}`}: ${message}; ${remedy}`;
}
