import { Command } from 'commander';
import type { Terminal } from '../terminal.ts';
import { sheet, table, time } from '../table.ts';
import type { MachineView, OperationView, StepView } from './api-types.ts';
import { commandOperation, operationVerb, type OperationOptions } from './command-operation.ts';
import { endedStep, errorLine, followOperation } from './follow-operation.ts';
import { adminRun, adminVerb, type AdminOptions } from './verb.ts';

interface Operations {
  readonly operations: readonly OperationView[];
}

interface OperationAndSteps {
  readonly operation: OperationView;
  readonly steps: readonly StepView[];
}

/** `csbm operation`: the journal. */
export function operationCommand(terminal: Terminal): Command {
  const group = new Command('operation');

  adminVerb(group.command('list').description('operations, the newest first'))
    .option('--machine <machine>', 'only of this machine')
    .option('--active', 'only those that have not ended')
    .action(async (options: AdminOptions & { machine?: string; active?: true }) => {
      const { client, print } = await adminRun(terminal, options);
      const query = new URLSearchParams({
        ...(options.machine !== undefined && { machine: options.machine }),
        ...(options.active && { active: '1' }),
      });
      const [document, { machines }] = await Promise.all([
        client.get<Operations>(`/operations?${query.toString()}`),
        client.get<{ readonly machines: readonly MachineView[] }>('/machines'),
      ]);
      const names = new Map(machines.map(({ id, hostname }) => [id, hostname]));
      print(document, () =>
        table(
          ['ID', 'KIND', 'MACHINE', 'STATE', 'BEGAN', 'BY', 'WHY', 'ERROR'],
          document.operations.map((at) => [
            at.id,
            at.kind,
            names.get(at.machineId) ?? at.machineId,
            at.state,
            time(at.createdAt),
            at.requester.principal,
            at.requester.reason,
            at.error && `${at.error.what} [${at.error.code}]`,
          ]),
        ),
      );
    });

  adminVerb(group.command('show <id>').description('one operation with its steps and their evidence')).action(
    async (id: string, options: AdminOptions) => {
      const { client, print } = await adminRun(terminal, options);
      const document = await client.get<OperationAndSteps>(pathOf(id));
      print(document, () => operationText(document));
    },
  );

  adminVerb(
    group.command('follow <id>').description('show each step as it happens; ends with the operation'),
  ).action(async (id: string, options: AdminOptions) =>
    followOperation(await adminRun(terminal, options), id),
  );

  adminVerb(group.command('cancel <id>').description('ask it to stop at a safe point and undo itself'))
    .option('--reason <text>', 'why; kept with the operation', '')
    .action(async (id: string, options: AdminOptions & { reason: string }) => {
      const { client, print } = await adminRun(terminal, options);
      await client.call('POST', `${pathOf(id)}/cancel`, { body: { reason: options.reason } });
      const { operation } = await client.get<OperationAndSteps>(pathOf(id));
      print({ operation }, () =>
        operation.endedAt === null
          ? `asked; it is ${operation.state} until it is undone`
          : `nothing to cancel: it is ${operation.state}`,
      );
    });

  operationVerb(
    group.command('retry <id>').description('ask once more for what an ended operation was'),
  ).action((id: string, options: OperationOptions) =>
    commandOperation(terminal, options, `${pathOf(id)}/retry`, {}),
  );
  return group;
}

function operationText({ operation, steps }: OperationAndSteps): string {
  const { requester, error, undoError, cancelledBy } = operation;
  const facts = sheet([
    ['id', operation.id],
    ['kind', operation.kind],
    ['machine', operation.machineId],
    ['subject', operation.subject],
    ['state', operation.state],
    ['asked by', `${requester.principal} (${requester.door})${requester.reason && `: ${requester.reason}`}`],
    ['began', time(operation.createdAt)],
    ['deadline', time(operation.deadlineAt)],
    ['ended', time(operation.endedAt)],
    ['cancelled by', cancelledBy && `${cancelledBy.principal}: ${cancelledBy.reason}`],
    ['error', error && errorLine(error)],
    ['undo error', undoError && errorLine(undoError)],
  ]);
  const lines = steps.map((step) =>
    step.state === 'intent'
      ? `  running   ${step.name}${step.progress ? `: ${step.progress.activity}` : ''}`
      : endedStep(step),
  );
  return [facts, 'steps', ...lines].join('\n');
}

function pathOf(id: string): string {
  return `/operations/${encodeURIComponent(id)}`;
}
