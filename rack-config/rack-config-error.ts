import { CodedError, type ErrorParts } from '../plugin-api/index.ts';
import { mostFound } from './most-found.ts';

/** One thing that is wrong in a rack config. */
export interface RackProblem {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** `racks[0].hosts[2].mac`; empty = the file itself. */
  readonly path: string;
  readonly message: string;
  readonly remedy: string;
}

/** A file with a fault in every line must not flood a log. */
const maxListed = 50;

/** A refused rack config: `problems` has what is wrong, 5000 at most, the text the first fifty. */
export class RackConfigError extends CodedError {
  readonly problems: readonly RackProblem[];

  constructor(problems: readonly RackProblem[]) {
    const count = problems.length;
    const listed = problems.slice(0, maxListed).map(listing);
    if (count > maxListed) listed.push(`and ${count - maxListed} more`);
    super({
      code: 'rack.invalid',
      retry: 'operator',
      what: `the rack config has ${count >= mostFound ? 'at least ' : ''}${count} problem${count === 1 ? '' : 's'}:\n  ${listed.join('\n  ')}\n`,
    });
    this.problems = problems;
  }

  override toJSON(): ErrorParts & { readonly problems: readonly RackProblem[] } {
    return { ...super.toJSON(), problems: this.problems };
  }
}

function listing(problem: RackProblem): string {
  const where = `line ${problem.line}, column ${problem.column}`;
  const path = problem.path === '' ? '' : ` ${problem.path}`;
  return `${where}${path}: ${problem.message}; ${problem.remedy}`;
}
