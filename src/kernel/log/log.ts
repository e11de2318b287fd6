import { pino, type DestinationStream, type Logger } from 'pino';
import { LogLines } from './log-lines.ts';

export type Log = Logger;

/** Field names whose values are never written, wherever they stand; secrets are wrapped besides (law 10). */
const secretNames = [
  'password',
  'enablePassword',
  'kg',
  'token',
  'secret',
  'vncPassword',
  'privateKey',
  'keystorePassword',
  'authorization',
];

export interface LogOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly destination?: DestinationStream;
}

/** The service's structured log: one JSON object a line. */
export function createLog(options: LogOptions): Log {
  const paths = secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);
  return pino(
    {
      level: options.level,
      base: null,
      redact: { paths, censor: '***' },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    options.destination ?? new LogLines(2),
  );
}
