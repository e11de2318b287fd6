import type { Logger } from 'typeorm';
import type { Log } from '../../kernel/log/log.ts';

/**
 * TypeORM's logger prints the parameters of a failed statement, which may be secrets: this one never does. A refused
 * statement is logged for debugging only, since conflicts are a normal answer and every failure reaches its caller.
 * @param describe the dialect's words for a failure, without values
 */
export function createStatementLogger(log: Log | undefined, describe: (error: unknown) => string): Logger {
  return {
    logQuery: () => undefined,
    logQueryError: (error, statement) => {
      log?.debug({ statement, said: describe(error) }, 'statement refused');
    },
    logQuerySlow: () => undefined,
    logSchemaBuild: () => undefined,
    logMigration: (message) => log?.info({ migration: message }, 'migration'),
    log: () => undefined,
  };
}
