import { Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../../kernel/clock/duration.ts';
import { hiddenPrompt } from '../hidden-prompt.ts';
import { readSecretFile } from '../secret-file.ts';
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
    group
      .command('add <name>')
      .description(
        'a new principal; its token is printed once and kept nowhere. A user has none, but API keys: csbm api-key',
      ),
  )
    .addOption(
      new Option('--role <role>', 'what it may do')
        .choices(['admin', 'operator', 'viewer', 'cloud', 'user'])
        .makeOptionMandatory(),
    )
    .option(
      '--scope <scope>',
      'what it may touch: *, or site:NAME, pool:NAME, cloud:NAME, machine:NAME with commas',
      '*',
    )
    .option('--email <address>', 'address of the person, for clients that show one')
    .option('--password-file <file>', "file with a password, by which MAAS's clients can log in")
    .addOption(expiresOption())
    .addOption(reasonOption())
    .action(async (name: string, options: AddOptions) => {
      const { role, scope, email, passwordFile, expires: expiresIn, reason } = options;
      const password = passwordFile === undefined ? undefined : readSecretFile(terminal, passwordFile);
      const { client, print, json } = await adminRun(terminal, options);
      const made = await client.call<{ readonly token: string | null }>('POST', '/principals', {
        body: { name, role, scope, email, password, expiresIn, reason },
      });
      if (!json && made.token !== null) terminal.stderr.write(onlyOnce);
      print(made, () => made.token ?? `${name} is made; csbm api-key create --user ${name} gives it a key`);
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

  adminVerb(
    group.command('password <name>').description("the password by which it logs in to MAAS's clients"),
  )
    .option('--password-file <file>', 'file with the password (default: it is asked for)')
    .addOption(reasonOption())
    .action(async (name: string, options: AdminOptions & { passwordFile?: string; reason: string }) => {
      const password =
        options.passwordFile === undefined
          ? await hiddenPrompt(terminal, `password of ${name}`, 'name a file with --password-file')
          : readSecretFile(terminal, options.passwordFile);
      const { client, print } = await adminRun(terminal, options);
      const body = { password, reason: options.reason };
      await client.call('PUT', `/principals/${encodeURIComponent(name)}/password`, { body });
      print({ changed: name }, () => `${name} has a new password`);
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

interface AddOptions extends AdminOptions, Life {
  readonly role: string;
  readonly scope: string;
  readonly email?: string;
  readonly passwordFile?: string;
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
