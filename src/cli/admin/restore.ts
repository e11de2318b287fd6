import type { Command } from 'commander';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { table, time } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import type { RestoreView } from './api-types.ts';
import { adminRun, adminVerb, type AdminOptions } from './verb.ts';

/** `csbm restore show` and `csbm restore accept` */
export function addRestoreVerbs(group: Command, terminal: Terminal): void {
  adminVerb(
    group.command('show').description('which machines are not as a restored database says, and in what'),
  )
    .option('--read-again', 'read all devices once more before')
    .action(async (options: AdminOptions & { readonly readAgain?: true }) => {
      const { client, print } = await adminRun(terminal, options);
      const report = options.readAgain
        ? await client.call<RestoreView>('POST', '/restore/compare')
        : await client.get<RestoreView>('/restore');
      print(report, () => reportText(report));
    });

  adminVerb(
    group
      .command('accept [choices...]')
      .description(
        'let the service go to work on a restored database. Machines that differ are quarantined, unless a choice says otherwise: MACHINE=keep (the database is right), MACHINE=adopt or MACHINE=adopt:CLOUD/INSTANCE (the devices are right), MACHINE=quarantine',
      ),
  )
    .option('--reason <text>', 'why; written to the log of the service', '')
    .action(async (choices: readonly string[], options: AdminOptions & { readonly reason: string }) => {
      const { client, print } = await adminRun(terminal, options);
      const body = { choices: Object.fromEntries(choices.map(choiceOf)), reason: options.reason };
      const accepted = await client.call<Accepted>('POST', '/restore/accept', { body });
      print(accepted, () =>
        table(
          ['MACHINE', 'WHAT BECAME OF IT'],
          accepted.machines.map(({ done, hostname }) => [hostname, done]),
        ),
      );
    });
}

interface Accepted {
  readonly machines: readonly { readonly hostname: string; readonly done: string }[];
}

function choiceOf(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new ServiceError({
    code: 'cli.usage',
    what: `"${text}" is no choice`,
    remedy: 'write MACHINE=keep, MACHINE=adopt, MACHINE=adopt:CLOUD/INSTANCE or MACHINE=quarantine',
  });
}

function reportText({ machines, pending, same, unknown }: RestoreView): string {
  if (!pending) return 'the service is at work as usual: no restored database waits to be accepted';
  const compared =
    pending.comparedAt === null ? 'devices not read yet' : `devices read at ${time(pending.comparedAt)!}`;
  const lines = machines.flatMap(({ differences, holder, hostname, state }) => [
    `! ${hostname} (${state}, ${holder === null ? 'free' : `held by ${holder}`}, by the database)`,
    ...differences.map(({ what }) => `    ${what}`),
  ]);
  return [
    `the database is an older state: ${pending.why}; ${compared}`,
    'nothing is done until csbm restore accept; these machines differ, and are quarantined by that unless you choose otherwise:',
    ...lines,
    ...(unknown.length > 0
      ? ['! machines that the database does not know; their ports are left as they are']
      : []),
    ...unknown.map(({ what }) => `    ${what}`),
    ...(same === null ? [] : [`${same} machine${same === 1 ? ' is' : 's are'} as the database says`]),
  ].join('\n');
}
