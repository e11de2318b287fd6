import { Command, InvalidArgumentError } from 'commander';
import { addRestoreVerbs } from '../admin/restore.ts';
import { printer } from '../admin/verb.ts';
import { sheet, time } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { placed, progress } from './backup.ts';

interface RestoreOptions {
  readonly config?: string;
  readonly json?: true;
}

/** `csbm restore` */
export function restoreCommand(terminal: Terminal): Command {
  const group = new Command('restore').description(
    'put a backup in the place of the database while the service is down; then see what differs on the floor, and accept it',
  );
  group
    .command('file <backup>', { isDefault: true })
    .description(
      'put a backup in the place of the database; the service must be down. The old database is kept',
    )
    .option('--config <file>', 'csbm.yaml (default: CSBM_CONFIG, else csbm.yaml here, else defaults)')
    .option('--json', 'print one JSON document')
    .action((file: string, options: RestoreOptions) => restore(terminal, file, options));
  addRestoreVerbs(group, terminal);
  return group;
}

async function restore(terminal: Terminal, name: string, options: RestoreOptions): Promise<void> {
  const { cwd, env } = terminal;
  if (name === '') throw new InvalidArgumentError('name the backup');
  const [{ loadConfig }, { restoreDatabase }] = await Promise.all([
    import('../../config/load-config.ts'),
    import('../../store/backup/restore-database.ts'),
  ]);
  const { config } = loadConfig({ path: options.config, env, cwd });
  const from = placed(name, cwd);
  const { aside, backup } = await restoreDatabase({
    store: config.store,
    stateDir: config.stateDir,
    from,
    key: config.secrets.key ? { base64: config.secrets.key } : { file: config.secrets.keyFile },
    now: Date.now(),
    onProgress: progress(terminal, 'rows restored'),
  });
  const { at } = backup.manifest;
  printer(terminal, options.json ?? false)({ from, at, aside, counts: backup.counts }, () =>
    sheet([
      ['restored', `${from}, of ${time(at)!}`],
      ['old database', aside ?? 'there was none'],
      [
        'next',
        'start the service: it reads all devices and does nothing; then csbm restore show, csbm restore accept',
      ],
    ]),
  );
}
