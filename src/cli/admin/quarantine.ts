import { Argument, Command } from 'commander';
import { sheet, table, time } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import type { QuarantineView } from './api-types.ts';
import { adminRun, adminVerb, type AdminOptions } from './verb.ts';

interface Document {
  readonly quarantines: readonly QuarantineView[];
}

interface ReasonOptions extends AdminOptions {
  readonly reason: string;
}

/** `csbm quarantine` */
export function quarantineCommand(terminal: Terminal): Command {
  const group = new Command('quarantine');

  adminVerb(group.command('list').description('what is withheld from new claims, and why'))
    .option('--lifted', 'also what was, with how often', false)
    .action(async (options: AdminOptions & { readonly lifted: boolean }) => {
      const { client, print } = await adminRun(terminal, options);
      const document = await client.get<Document>(`/quarantines${options.lifted ? '?lifted=1' : ''}`);
      print(document, () =>
        table(
          ['KIND', 'NAME', 'SINCE', 'TIMES', 'BY', 'CODE', 'REASON'],
          document.quarantines.map((one) => [
            one.kind,
            one.label,
            one.since === null ? `lifted ${time(one.liftedAt) ?? ''}` : time(one.since),
            String(one.count),
            one.by,
            one.code,
            one.reason,
          ]),
        ),
      );
    });

  adminVerb(
    about(group.command('show').description('why, how often and until when one subject was withheld')),
  ).action(async (kind: string, name: readonly string[], options: AdminOptions) => {
    const { client, print } = await adminRun(terminal, options);
    const document = await client.get<Document>(pathOf(kind, name));
    print(document, () => history(kind, name, document));
  });

  adminVerb(about(group.command('add').description('withhold it from new claims')))
    .option('--reason <text>', 'why; shown until it is lifted', '')
    .action(async (kind: string, name: readonly string[], { reason, ...options }: ReasonOptions) => {
      const { client, print } = await adminRun(terminal, options);
      const document = await client.call<Document>('POST', pathOf(kind, name), { body: { reason } });
      print(document, () => `${kind} ${name.join(' ')} is in quarantine`);
    });

  adminVerb(about(group.command('lift').description('end it; what is still wrong comes back by itself')))
    .option('--reason <text>', 'why; shown with the history', '')
    .action(async (kind: string, name: readonly string[], { reason, ...options }: ReasonOptions) => {
      const { client, print } = await adminRun(terminal, options);
      const document = await client.call<Document>('DELETE', pathOf(kind, name), { body: { reason } });
      print(document, () => `${kind} ${name.join(' ')} is not in quarantine any more`);
    });
  return group;
}

function about(command: Command): Command {
  return command
    .addArgument(new Argument('<kind>', 'what it is').choices(['machine', 'bmc', 'switch', 'port']))
    .addArgument(
      new Argument(
        '<name...>',
        'of a machine or of the machine of a BMC: hostname or system id; switch: its name; port: switch and port',
      ),
    );
}

function history(kind: string, name: readonly string[], { quarantines }: Document): string {
  if (quarantines.length === 0) return `${kind} ${name.join(' ')} was never in quarantine`;
  return quarantines
    .map((one) =>
      sheet([
        [one.kind, one.label],
        ['state', one.since === null ? 'lifted' : `in quarantine since ${time(one.since)!}`],
        ['code', one.code],
        ['reason', one.reason],
        ['by', one.by],
        ['times', `${one.count}, last at ${time(one.lastAt)!}`],
        [
          'lifted',
          one.liftedAt && `${time(one.liftedAt)!} by ${one.liftedBy ?? ''}: ${one.liftedBecause ?? ''}`,
        ],
      ]),
    )
    .join('\n\n');
}

function pathOf(kind: string, name: readonly string[]): string {
  return `/quarantines/${encodeURIComponent(kind)}/${encodeURIComponent(name.join(' '))}`;
}
