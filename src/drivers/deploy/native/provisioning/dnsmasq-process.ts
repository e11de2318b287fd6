import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Clock, Duration, LogLevel } from '../../../../../plugin-api/index.ts';
import { Deferred } from '../../../../kernel/concurrency/deferred.ts';
import { systemEnvironment } from './host-network.ts';

/** A dnsmasq that was started in the foreground. */
export interface DnsmasqProcess {
  readonly pid: number | undefined;
  /** Resolves when it says that it serves. Never, when it ends first. */
  readonly started: Promise<void>;
  /** Resolves with the reason when it has ended, or could not be started. */
  readonly ended: Promise<string>;
  /** Asks it to end, and after `patience` forces it. */
  stop(clock: Clock, patience: Duration): Promise<void>;
}

/** Starts dnsmasq with its log on standard error; `onLine` gets each line without the prefix. */
export function startDnsmasq(
  program: string,
  args: readonly string[],
  onLine: (text: string) => void,
): DnsmasqProcess {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env: systemEnvironment() });
  const started = new Deferred<void>();
  const ended = new Deferred<string>();
  let last = '';
  createInterface({ input: child.stderr }).on('line', (line) => {
    const text = line.replace(/^dnsmasq[a-z-]*(\[\d+\])?: */, '').trim();
    if (text === '') return;
    last = text;
    if (text.startsWith('started, version')) started.resolve();
    onLine(text);
  });
  child.once('error', (error) => ended.resolve(error.message));
  child.once('close', (code, signal) => {
    const how = signal === null ? `it ended with code ${code ?? '?'}` : `it was ended by ${signal}`;
    ended.resolve(last === '' ? how : `${how}; it said: ${last}`);
  });
  return {
    pid: child.pid,
    started: started.promise,
    ended: ended.promise,
    stop: async (clock, patience) => {
      const force = new AbortController();
      child.kill('SIGTERM');
      const forced = clock.sleep(patience, force.signal).then(
        () => child.kill('SIGKILL'),
        () => undefined,
      );
      await ended.promise;
      force.abort(new Error('done'));
      await forced;
    },
  };
}

/** How important a line of its log is: what machines got, and what went wrong; the rest is for whoever looks closely. */
export function lineLevel(text: string): LogLevel {
  // A machine that asks for a file's size breaks the transfer off by an error of its own: code 0 or 8 (RFC 2347).
  if (/^error [08] /.test(text)) return 'debug';
  if (/^error \d|\b(no address|failed|cannot|not found|inaccessible|abandoning|refused)\b/i.test(text))
    return 'warn';
  return /\bDHCPACK\(|^sent \S.* to /.test(text) ? 'info' : 'debug';
}
