import type { Command } from 'commander';
import type { Terminal } from '../terminal.ts';
import { sheet, table, time } from '../table.ts';
import type { ErrorView } from './api-types.ts';
import { errorLine } from './follow-operation.ts';
import { adminRun, adminVerb, type AdminOptions } from './verb.ts';

interface ReconcileReport {
  readonly at: number;
  readonly dryRun: boolean;
  readonly destroy: boolean;
  readonly roundsNeeded: number;
  readonly problem: ErrorView | null;
  readonly brake: string | null;
  readonly entries: readonly {
    readonly hostname: string;
    readonly instance: string;
    readonly instanceUuid: string | null;
    readonly verdict: string;
    readonly detail: string;
    readonly rounds: number;
    readonly action: string;
    readonly operationId: string | null;
  }[];
}

/** What the service does by CloudStack's HTTP API, as verbs of `csbm cloudstack`. */
export function addCloudstackVerbs(group: Command, terminal: Terminal): void {
  adminVerb(
    group
      .command('reconcile')
      .description('look now for machines whose instance CloudStack has expunged')
      .option('--dry-run', 'count nothing and do nothing: only say what a round would do')
      .option('--last', 'show the last round that counted instead of a new one'),
  ).action(async (options: AdminOptions & { dryRun?: true; last?: true }) => {
    const { client, print } = await adminRun(terminal, options);
    const path = '/cloudstack/reconcile';
    const document = options.last
      ? await client.get<{ readonly report: ReconcileReport | null }>(path)
      : await client.call<{ readonly report: ReconcileReport }>('POST', path, {
          body: { dryRun: options.dryRun ?? false },
        });
    print(document, () => (document.report ? reportText(document.report) : 'no round yet'));
  });

  const certificate = group
    .command('certificate')
    .description("the service's certificate for CloudStack's port 8250");
  adminVerb(
    certificate.command('issue').description('have CloudStack issue a new one, and use it from now on'),
  ).action(async (options: AdminOptions) => {
    const { client, print } = await adminRun(terminal, options);
    const document = await client.call<{
      readonly certificate: { readonly subject: string | null; readonly expiresAt: number | null };
    }>('POST', '/cloudstack/certificate', { body: {} });
    const { subject, expiresAt } = document.certificate;
    print(document, () =>
      sheet([
        ['certificate', subject],
        ['valid until', time(expiresAt)],
      ]),
    );
  });
}

function reportText(report: ReconcileReport): string {
  const { at, brake, destroy, dryRun, entries, problem, roundsNeeded } = report;
  if (problem) return `! the round told nothing: ${errorLine(problem)}`;
  const head = `${dryRun ? 'dry run' : 'round'} of ${time(at)!}: ${entries.length} instances looked up`;
  const then = destroy ? 'taken back' : 'reported (cloudstack.reconcile.destroy is off)';
  const rule = `gone ${roundsNeeded} rounds in a row = ${then}`;
  const rows = entries.map((one) => [
    one.hostname,
    one.instance,
    one.instanceUuid,
    one.verdict,
    one.detail,
    one.rounds === 0 ? null : `${one.rounds}/${roundsNeeded}`,
    one.operationId === null ? one.action : `${one.action} ${one.operationId}`,
  ]);
  return [
    `${head}; ${rule}`,
    ...(brake === null ? [] : [`! ${brake}`]),
    table(['MACHINE', 'INSTANCE', 'UUID', 'VERDICT', 'WHY', 'ROUNDS', 'ACTION'], rows),
  ].join('\n');
}
