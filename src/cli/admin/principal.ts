import { Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../../kernel/clock/duration.ts';
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
          ['NAME', 'ROLE', 'SCOPE', 'SINCE', 'LAST USED', 'EXPIRES', 'REVOKED'],
          document.principals.map((at) => [
            at.name,
            at.role,
            at.scope,
            time(at.createdAt),
            time(at.lastUsedAt),
            time(at.expiresAt),
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
    .option(
      '--scope <scope>',
      'what it may touch: *, or site:NAME, pool:NAME, cloud:NAME, machine:NAME with commas',
      '*',
    )
    .addOption(expiresOption())
    .addOption(reasonOption())
    .action(async (name: string, options: AdminOptions & Life & { role: string; scope: string }) => {
      const { client, print, json } = await adminRun(terminal, options);
      const { role, scope, expires: expiresIn, reason } = options;
      const made = await client.call<{ readonly token: string }>('POST', '/principals', {
        body: { name, role, scope, expiresIn, reason },
      });
      if (!json) terminal.stderr.write(onlyOnce);
      print(made, () => made.token);
    });

  adminVerb(
    group
      .command('rotate <name>')
      .description(
        'another token instead of the one it has, which ends at once; the new one is printed once',
      ),
  )
    .addOption(expiresOption())
    .addOption(reasonOption())
    .action(async (name: string, options: AdminOptions & Life) => {
      const { client, print, json } = await adminRun(terminal, options);
      const { expires: expiresIn, reason } = options;
      const made = await client.call<{ readonly token: string }>(
        'POST',
        `/principals/${encodeURIComponent(name)}/token`,
        { body: { expiresIn, reason } },
      );
      if (!json) terminal.stderr.write(onlyOnce);
      print(made, () => made.token);
    });

  adminVerb(group.command('revoke <name>').description('end the validity of its token, for good'))
    .addOption(reasonOption())
    .action(async (name: string, options: AdminOptions & { reason: string }) => {
      const { client, print } = await adminRun(terminal, options);
      const body = { reason: options.reason };
      await client.call('DELETE', `/principals/${encodeURIComponent(name)}`, { body });
      print({ revoked: name }, () => `${name} is revoked`);
    });
  return group;
}

interface Life {
  /** Seconds. */
  readonly expires?: number;
  readonly reason: string;
}

/** The token goes alone to standard output, so that it can go into a file. */
const onlyOnce = 'this token is shown once; keep it where only its owner can read it\n';

function expiresOption(): Option {
  return new Option('--expires <time>', 'the token ends after this time, for example 12h or 90d').argParser(
    (text: string) => {
      const time = parseDuration(text);
      if (time === null || time < 1_000)
        throw new InvalidArgumentError('write a number and a unit: 12h, 90d');
      return Math.round(time / 1_000);
    },
  );
}

function reasonOption(): Option {
  return new Option('--reason <text>', 'why; written to the log of the service').default('');
}
