import { seconds, type Clock, type Duration } from '../../../plugin-api/index.ts';
import { formatDuration } from '../../kernel/clock/duration.ts';
import { SystemClock } from '../../kernel/clock/system-clock.ts';
import { asCodedError } from '../../kernel/errors/service-error.ts';
import { Exit, exitCodes } from '../exit-code.ts';
import { printable } from '../terminal.ts';
import type { ErrorView, OperationView, StepView } from './api-types.ts';
import type { AdminRun } from './verb.ts';

export interface FollowOptions {
  readonly clock?: Clock;
  /** How long a service that does not answer is waited for: a restart of it ends no operation (default 60 s). */
  readonly patience?: Duration;
  /** Between attempts to reach it (default 1 s). */
  readonly pause?: Duration;
}

/**
 * Follows an operation to its end: one line per ended step with its evidence, progress in place on a terminal, or one
 * document at the end with `--json`.
 * @throws Exit 1 when the operation failed or was cancelled, 130 on Ctrl-C (the operation goes on)
 */
export async function followOperation(run: AdminRun, id: string, options: FollowOptions = {}): Promise<void> {
  const { client, terminal } = run;
  const { clock = new SystemClock(), patience = seconds(60), pause = seconds(1) } = options;
  const interrupted = terminal.interrupted();
  const report = new Report(run);
  let lost: number | null = null;
  for (;;) {
    try {
      for await (const line of client.lines(`/operations/${encodeURIComponent(id)}/follow`, interrupted)) {
        lost = null;
        report.take(line as { readonly step?: StepView; readonly operation?: OperationView });
      }
    } catch (thrown) {
      if (interrupted.aborted) throw report.interrupted(id);
      const error = asCodedError(thrown);
      if (error.code !== 'service.unreachable') throw error;
      lost ??= clock.monotonic();
      // Never reached at all: that is not a restart.
      if (!report.begun || clock.monotonic() - lost > patience) throw error;
      report.progress('the service does not answer; trying again');
    }
    if (report.ended) {
      report.close();
      return;
    }
    try {
      await clock.sleep(pause, interrupted);
    } catch {
      throw report.interrupted(id);
    }
  }
}

class Report {
  readonly #run: AdminRun;
  readonly #steps: StepView[] = [];
  readonly #told = new Set<number>();
  #operation: OperationView | null = null;

  constructor(run: AdminRun) {
    this.#run = run;
  }

  get begun(): boolean {
    return this.#operation !== null;
  }

  get ended(): boolean {
    return this.#operation !== null && this.#operation.endedAt !== null;
  }

  /** Steps come again after each reconnection: each is told once. */
  take({ step, operation }: { readonly step?: StepView; readonly operation?: OperationView }): void {
    if (step) {
      this.#steps[step.seq] = step;
      if (step.state === 'intent') this.progress(activity(step));
      else if (!this.#told.has(step.seq)) {
        this.#told.add(step.seq);
        this.#say(endedStep(step));
      }
    }
    if (operation) this.#operation = operation;
  }

  /** In place, on a terminal only: it is gone with the next line. */
  progress(text: string): void {
    const { stdout } = this.#run.terminal;
    if (this.#run.json || !stdout.isTTY) return;
    stdout.write(`\r\u001b[K${printable(text).slice(0, (stdout.columns ?? 80) - 1)}`);
  }

  close(): void {
    const operation = this.#operation!;
    const { error, kind, state, undoError, createdAt, endedAt } = operation;
    if (this.#run.json) {
      const steps = Object.values(this.#steps);
      this.#run.print({ operation, steps, ...(state !== 'done' && { error }) }, () => '');
    }
    this.#say(`${kind} ${state} after ${formatDuration(endedAt! - createdAt)}`);
    if (state === 'done') return;
    const { stderr } = this.#run.terminal;
    if (error) stderr.write(printable(`error: ${errorLine(error)}\n`));
    if (undoError) stderr.write(printable(`error: its undo failed too: ${errorLine(undoError)}\n`));
    throw new Exit(exitCodes.failed);
  }

  interrupted(id: string): Exit {
    this.progress('');
    this.#run.terminal.stderr.write(
      `the operation goes on; csbm operation follow ${id} shows it, csbm operation cancel ${id} ends it\n`,
    );
    return new Exit(exitCodes.interrupted);
  }

  #say(line: string): void {
    if (this.#run.json) return;
    this.progress('');
    this.#run.terminal.stdout.write(`${printable(line)}\n`);
  }
}

function activity(step: StepView): string {
  const { progress } = step;
  if (!progress) return `  ... ${nameOf(step)}`;
  const percent = progress.percent === null ? '' : ` ${Math.round(progress.percent)} %`;
  return `  ... ${nameOf(step)}: ${progress.activity}${percent}`;
}

/** `ok` = the device showed it; `set` = it was told, and could not show it (law 3). */
export function endedStep(step: StepView): string {
  const { error, evidence, state, attempt } = step;
  const mark = state === 'done' ? (evidence?.verified === false ? 'set' : 'ok') : state;
  const again = attempt > 1 ? ` (attempt ${attempt})` : '';
  const told = error ? errorLine(error) : (evidence?.summary ?? '');
  return `  ${mark.padEnd(9)} ${nameOf(step)}${again}${told ? `: ${told}` : ''}`;
}

function nameOf({ direction, name }: StepView): string {
  return direction === 'undo' ? `undo ${name}` : name;
}

export function errorLine({ code, what, where, said, remedy }: ErrorView): string {
  const place = where ? `${where}: ` : '';
  return `${place}${what}${said ? `; it said: ${said}` : ''}${remedy ? `; ${remedy}` : ''} [${code}]`;
}
