import { Command, Option } from 'commander';
import { table, time } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import type { ApiKeyView } from './api-types.ts';
import { adminRun, adminVerb, type AdminOptions } from './verb.ts';

/** `csbm api-key`: keys by which MAAS clients sign. */
export function apiKeyCommand(terminal: Terminal): Command {
  const group = new Command('api-key');

  adminVerb(
    group
      .command('create [name]')
      .description('a new key, consumer:token:secret; it is printed once; the name says what it is for'),
  )
    .option('--user <principal>', 'whose key it is (default: your own)')
    .addOption(reasonOption())
    .action(async (name: string | undefined, options: AdminOptions & { user?: string; reason: string }) => {
      const { client, print, json } = await adminRun(terminal, options);
      const { user: principal, reason } = options;
      const made = await client.call<{ readonly key: string }>('POST', '/api-keys', {
        body: { name: name ?? '', principal, reason },
      });
      if (!json) terminal.stderr.write('this key is shown once; keep it where only its owner can read it\n');
      print(made, () => made.key);
    });

  adminVerb(group.command('list').description('keys, without their secrets'))
    .option('--user <principal>', 'whose keys (default: your own)')
    .action(async (options: AdminOptions & { user?: string }) => {
      const { client, print } = await adminRun(terminal, options);
      const query = options.user === undefined ? '' : `?principal=${encodeURIComponent(options.user)}`;
      const document = await client.get<{ readonly apiKeys: readonly ApiKeyView[] }>(`/api-keys${query}`);
      print(document, () =>
        table(
          ['TOKEN', 'NAME', 'OWNER', 'SINCE'],
          document.apiKeys.map((key) => [key.token, key.name, key.principal, time(key.createdAt)]),
        ),
      );
    });

  adminVerb(
    group
      .command('rename <token> <name>')
      .description('another name for a key; the token is its middle part'),
  )
    .addOption(reasonOption())
    .action(async (token: string, name: string, options: AdminOptions & { reason: string }) => {
      const { client, print } = await adminRun(terminal, options);
      const body = { name, reason: options.reason };
      await client.call('PUT', `/api-keys/${encodeURIComponent(token)}`, { body });
      print({ token, name }, () => `${token} is called ${name}`);
    });

  adminVerb(
    group
      .command('revoke <token>')
      .description('end the validity of a key, for good; the token is its middle part'),
  )
    .addOption(reasonOption())
    .action(async (token: string, options: AdminOptions & { reason: string }) => {
      const { client, print } = await adminRun(terminal, options);
      const body = { reason: options.reason };
      await client.call('DELETE', `/api-keys/${encodeURIComponent(token)}`, { body });
      print({ revoked: token }, () => `${token} is revoked`);
    });
  return group;
}

function reasonOption(): Option {
  return new Option('--reason <text>', 'why; written to the log of the service').default('');
}
