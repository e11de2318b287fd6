import type { Clock } from './clock.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** What a driver gets from its host: time and a log. Secrets are never handed to the log. */
export interface DeviceContext {
  readonly clock: Clock;
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
}
