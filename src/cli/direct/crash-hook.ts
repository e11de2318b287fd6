import { existsSync, readFileSync } from 'node:fs';
import type { ExecutionHooks } from '../../operations/journal/execution.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';

/**
 * A test facility, and nothing for production: what happens at the points where a crash may cut the journal.
 * - `CSBM_TEST_CRASH_AT="<boundary>[#n]"` kills the process with SIGKILL when the boundary is reached for the n-th time
 *   (default the first), for example `start-first:switch power off:effect#2`;
 * - `CSBM_TEST_CRASH_FILE=<path>` does the same with what that file says at the moment, if it is there: so a running service
 *   can be told, without an end and a start in between;
 * - `CSBM_TEST_TRACE_BOUNDARIES=1` writes every boundary as a log line `{boundary}`, so that a test knows which there are.
 *
 * @param writeLine writes to the log at once: what the logger still holds is lost when the process is killed
 */
export function crashHook(
  env: Readonly<Record<string, string | undefined>>,
  writeLine: (line: string) => void,
): ExecutionHooks | undefined {
  const trace = env['CSBM_TEST_TRACE_BOUNDARIES'] === '1';
  const at = env['CSBM_TEST_CRASH_AT'];
  const file = env['CSBM_TEST_CRASH_FILE'];
  if (!trace && !at && !file) return undefined;
  let told = at ?? '';
  let crash = told ? parse(told) : null;
  let left = crash?.count ?? 0;
  return {
    onBoundary: (boundary) => {
      if (trace) writeLine(`${JSON.stringify({ time: new Date().toISOString(), boundary })}\n`);
      const now = file && existsSync(file) ? readFileSync(file, 'utf8').trim() : told;
      if (now !== told) {
        told = now;
        crash = told ? parse(told) : null;
        left = crash?.count ?? 0;
      }
      if (boundary !== crash?.boundary) return;
      left -= 1;
      if (left === 0) process.kill(process.pid, 'SIGKILL');
    },
  };
}

function parse(text: string): { readonly boundary: string; readonly count: number } {
  const match = /^(.+?)(?:#(\d+))?$/.exec(text);
  const count = Number(match?.[2] ?? 1);
  if (match && count >= 1) return { boundary: match[1]!, count };
  throw new ServiceError({
    code: 'cli.usage',
    what: 'the boundary of CSBM_TEST_CRASH_AT or CSBM_TEST_CRASH_FILE is misspelt',
    remedy: 'write a boundary, and #n for the n-th time, n from 1',
  });
}
