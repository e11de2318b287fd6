import type { QueryRunner } from 'typeorm';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { translateSqliteError } from './dialects/sqlite-errors.ts';

export interface StatementResult {
  readonly rows: readonly Record<string, unknown>[];
  readonly affected: number;
}

/** The statements of one unit of work. When the unit is over, whoever still holds its `Tx` can do nothing with it. */
export class Session {
  readonly #runner: QueryRunner;
  #open = true;

  constructor(runner: QueryRunner) {
    this.#runner = runner;
  }

  get open(): boolean {
    return this.#open;
  }

  end(): void {
    this.#open = false;
  }

  /** @throws CodedError as the dialect translates it. */
  async execute(statement: string, parameters: unknown[]): Promise<StatementResult> {
    if (!this.#open) {
      throw new ServiceError({
        code: 'internal.bug',
        what: 'a unit of work was used after its end',
        remedy: 'await everything that is begun inside Storage.run',
      });
    }
    try {
      const result = await this.#runner.query(statement, parameters, true);
      return { rows: result.records, affected: result.affected ?? 0 };
    } catch (error) {
      throw translateSqliteError(error);
    }
  }
}
