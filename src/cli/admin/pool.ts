import { Command, InvalidArgumentError, Option } from 'commander';
import { table } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import type { PoolView } from './api-types.ts';
import { adminRun, adminVerb, type AdminOptions } from './verb.ts';

/** `csbm pool` */
export function poolCommand(terminal: Terminal): Command {
  const group = new Command('pool');

  adminVerb(
    group.command('list').description('pools, and through which doors their machines are handed out'),
  ).action(async (options: AdminOptions) => {
    const { client, print } = await adminRun(terminal, options);
    const document = await client.get<{ readonly pools: readonly PoolView[] }>('/pools');
    print(document, () =>
      table(
        ['NAME', 'DOORS', 'TRUSTED', 'MACHINES', 'DESCRIPTION'],
        document.pools.map((pool) => [
          pool.name,
          pool.doors.join(', ') || 'none',
          pool.trusted ? 'yes' : 'no',
          String(pool.machines),
          pool.description,
        ]),
      ),
    );
  });

  adminVerb(
    group.command('create <name>').description('describe a new pool; machines join it by their enrolment'),
  )
    .option('--description <text>', 'what it is for')
    .addOption(doorOption())
    .option('--trusted', 'deployed machines may stay on the provisioning network')
    .addOption(reasonOption())
    .action(async (name: string, options: PoolOptions) => {
      const { client, print } = await adminRun(terminal, options);
      const body = { name, ...rulesOf(options) };
      const made = await client.call<{ readonly pool: PoolView }>('POST', '/pools', { body });
      print(made, () => described(made.pool));
    });

  adminVerb(
    group.command('set <name>').description('change what is said about a pool; what is not named stays'),
  )
    .option('--rename <name>', 'another name; its machines go with it')
    .option('--description <text>', 'what it is for')
    .addOption(doorOption())
    .option('--trusted', 'deployed machines may stay on the provisioning network')
    .option('--no-trusted', 'deployed machines may not stay on the provisioning network')
    .addOption(reasonOption())
    .action(async (name: string, options: PoolOptions & { rename?: string }) => {
      const { client, print } = await adminRun(terminal, options);
      const body = { name: options.rename, ...rulesOf(options) };
      const route = `/pools/${encodeURIComponent(name)}`;
      const changed = await client.call<{ readonly pool: PoolView }>('PUT', route, { body });
      print(changed, () => described(changed.pool));
    });

  adminVerb(group.command('delete <name>').description('forget a pool that has no machines'))
    .addOption(reasonOption())
    .action(async (name: string, options: AdminOptions & { reason: string }) => {
      const { client, print } = await adminRun(terminal, options);
      const body = { reason: options.reason };
      await client.call('DELETE', `/pools/${encodeURIComponent(name)}`, { body });
      print({ deleted: name }, () => `pool ${name} is forgotten`);
    });
  return group;
}

interface PoolOptions extends AdminOptions {
  readonly description?: string;
  readonly door?: readonly string[];
  readonly trusted?: boolean;
  readonly reason: string;
}

function rulesOf({ description, door, trusted, reason }: PoolOptions): object {
  return { description, doors: door?.filter((one) => one !== 'none'), trusted, reason };
}

function described({ name, doors, trusted }: PoolView): string {
  return `pool ${name}: handed out through ${doors.join(' and ') || 'no door'}; ${trusted ? 'trusted' : 'not trusted'}`;
}

function doorOption(): Option {
  return new Option(
    '--door <door>',
    'who gets its machines: cloudstack, maas or none; give it again for more (default: both)',
  ).argParser((text: string, before: readonly string[] | undefined) => {
    if (!['cloudstack', 'maas', 'none'].includes(text))
      throw new InvalidArgumentError('write cloudstack, maas or none');
    return [...(before ?? []), text];
  });
}

function reasonOption(): Option {
  return new Option('--reason <text>', 'why; written to the log of the service').default('');
}
