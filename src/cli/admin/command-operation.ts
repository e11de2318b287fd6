import type { Command } from 'commander';
import type { OperationView, PlanSection } from './api-types.ts';
import { followOperation } from './follow-operation.ts';
import { adminRun, adminVerb, type AdminOptions, type AdminRun } from './verb.ts';
import type { Terminal } from '../terminal.ts';

/** Options of every verb that begins an operation. */
export interface OperationOptions extends AdminOptions {
  readonly plan?: true;
  readonly reason: string;
  readonly follow?: boolean;
}

export function operationVerb(command: Command): Command {
  return adminVerb(
    command
      .option('--plan', 'say what would be done, and do nothing')
      .option('--reason <text>', 'why; kept with the operation', '')
      .option('--follow', 'show each step as it happens, until the end (default on a terminal)')
      .option('--no-follow', 'return as soon as the operation is journaled'),
  );
}

type Answer =
  | { readonly plan: readonly PlanSection[] }
  | { readonly operation: OperationView; readonly joined: boolean }
  | { readonly operation: null; readonly already: string };

/** Posts a command; `--plan` asks for its plan instead. */
export async function commandOperation(
  terminal: Terminal,
  options: OperationOptions,
  path: string,
  body: object,
): Promise<void> {
  const run = await adminRun(terminal, options);
  const answer = await run.client.call<Answer>('POST', `${path}${options.plan ? '?plan=1' : ''}`, {
    body: { ...body, reason: options.reason },
  });
  if ('plan' in answer) run.print(answer, () => planText(answer.plan));
  else if (!answer.operation) run.print(answer, () => `nothing to do: ${answer.already}`);
  else await followOrTell(run, options, answer);
}

async function followOrTell(
  run: AdminRun,
  options: OperationOptions,
  answer: { readonly operation: OperationView; readonly joined: boolean },
): Promise<void> {
  const { id, kind } = answer.operation;
  const head = `${kind} ${id} ${answer.joined ? 'runs already: joined' : 'begins'}`;
  const follow = options.follow ?? (!run.json && run.terminal.stdout.isTTY === true);
  if (!follow) {
    run.print(answer, () => `${head}; csbm operation follow ${id} shows it`);
    return;
  }
  if (!run.json) run.print(answer, () => head);
  await followOperation(run, id);
}

function planText(plan: readonly PlanSection[]): string {
  return plan
    .map(({ step, lines }, i) => [`${i + 1}. ${step}`, ...lines.map((line) => `     ${line}`)].join('\n'))
    .join('\n');
}
