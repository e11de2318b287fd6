import { Command } from 'commander';
import { table, time } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { adminRun, adminVerb, type AdminOptions } from './verb.ts';

interface InstanceView {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly adminUrl: string | null;
  readonly state: 'alive' | 'draining' | 'gone';
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly reason: string | null;
  readonly self: boolean;
  readonly machines: number | null;
}

/** `csbm instance` */
export function instanceCommand(terminal: Terminal): Command {
  const group = new Command('instance');
  adminVerb(group.command('list').description('the processes of the service that share its database'))
    .option('--gone', 'also those that ended within a day', false)
    .action(async (options: AdminOptions & { readonly gone: boolean }) => {
      const { client, print } = await adminRun(terminal, options);
      const { instances } = await client.get<{ readonly instances: readonly InstanceView[] }>('/instances');
      const shown = instances.filter(({ state }) => options.gone || state !== 'gone');
      print({ instances: shown }, () =>
        table(
          ['NAME', 'STATE', 'MACHINES', 'SINCE', 'VERSION', 'ADMIN API'],
          shown.map((one) => [
            `${one.name}${one.self ? ' (asked)' : ''}`,
            one.state === 'gone' ? `gone: ${one.reason ?? ''}` : one.state,
            one.machines === null ? 'all' : String(one.machines),
            time(one.endedAt ?? one.startedAt),
            one.version,
            one.adminUrl,
          ]),
        ),
      );
    });
  return group;
}
