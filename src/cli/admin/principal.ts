import { Command, Option } from 'commander';
import type { Terminal } from '../terminal.ts';
import { table, time } from '../table.ts';
import type { PrincipalView } from './api-types.ts';
import { adminRun, adminVerb, type AdminOptions } from './verb.ts';

/** `csbm principal` */
export function principalCommand(terminal: Terminal): Command {
  const group = new Command('principal');

  adminVerb(group.command('list').description('principals, also revoked ones')).action(
    async (options: AdminOptions) => {
      const { client, print } = await adminRun(terminal, options);
      const document = await client.get<{ readonly principals: readonly PrincipalView[] }>('/principals');
      print(document, () =>
        table(
          ['NAME', 'ROLE', 'SCOPE', 'SINCE', 'REVOKED'],
          document.principals.map((at) => [
            at.name,
            at.role,
            at.scope,
            time(at.createdAt),
            time(at.revokedAt),
          ]),
        ),
      );
    },
  );

  adminVerb(
    group.command('add <name>').description('a new principal; its token is printed once and kept nowhere'),
  )
    .addOption(
      new Option('--role <role>', 'what it may do')
        .choices(['admin', 'operator', 'viewer'])
        .makeOptionMandatory(),
    )
    .option('--scope <scope>', 'what it may touch: a pool, a cloud, or everything', '*')
    .action(async (name: string, options: AdminOptions & { role: string; scope: string }) => {
      const { client, print, json } = await adminRun(terminal, options);
      const { role, scope } = options;
      const made = await client.call<{ readonly token: string }>('POST', '/principals', {
        body: { name, role, scope },
      });
      // The token alone on standard output, so that it can go into a file.
      if (!json)
        terminal.stderr.write('this token is shown once; keep it where only its owner can read it\n');
      print(made, () => made.token);
    });

  adminVerb(group.command('revoke <name>').description('end the validity of its token, for good')).action(
    async (name: string, options: AdminOptions) => {
      const { client, print } = await adminRun(terminal, options);
      await client.call('DELETE', `/principals/${encodeURIComponent(name)}`);
      print({ revoked: name }, () => `${name} is revoked`);
    },
  );
  return group;
}
