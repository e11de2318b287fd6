import { chmodSync, constants, copyFileSync, existsSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { BackupSummary } from '../../store/backup/backup-file.ts';
import { printer } from '../admin/verb.ts';
import { sheet, time } from '../table.ts';
import { printable, type Terminal } from '../terminal.ts';

interface BackupOptions {
  readonly config?: string;
  readonly json?: true;
  readonly withKey?: string;
}

/** `csbm backup` */
export function backupCommand(terminal: Terminal): Command {
  return new Command('backup')
    .description(
      'write the whole database into a file, also while the service runs, and read it back. The key that opens its secrets is not in it',
    )
    .argument('<file>', 'where to; it must not be there yet')
    .option('--with-key <file>', 'copy the key file there besides: whoever has both can read every password')
    .option('--config <file>', 'csbm.yaml (default: CSBM_CONFIG, else csbm.yaml here, else defaults)')
    .option('--json', 'print one JSON document')
    .action((file: string, options: BackupOptions) => backup(terminal, file, options));
}

async function backup(terminal: Terminal, name: string, options: BackupOptions): Promise<void> {
  const { cwd, env } = terminal;
  const [{ loadConfig }, { openSource }, { writeBackup }, { packageVersion }] = await Promise.all([
    import('../../config/load-config.ts'),
    import('../../store/backup/open-source.ts'),
    import('../../store/backup/write-backup.ts'),
    import('../../kernel/version/package-version.ts'),
  ]);
  const { config } = loadConfig({ path: options.config, env, cwd });
  const file = placed(name, cwd);
  const keyFile = options.withKey === undefined ? null : placed(options.withKey, cwd);
  if (keyFile !== null) refuseKey(config, keyFile);
  const source = await openSource(config.store);
  try {
    const onProgress = progress(terminal, 'rows written');
    const written = await writeBackup({
      source,
      file,
      version: packageVersion(),
      now: Date.now(),
      onProgress,
    }).catch((thrown: unknown) => {
      throw unwritable(thrown, 'the backup', file);
    });
    if (keyFile !== null) copyKey(config, keyFile);
    printer(terminal, options.json ?? false)(summary(file, written, keyFile), () =>
      text(file, written, keyFile),
    );
  } finally {
    await source.close();
  }
}

/** Tells now and then how far it is. */
export function progress(terminal: Terminal, what: string): (rows: number, table: string) => void {
  const every = 20_000;
  let told = 0;
  return (rows, table) => {
    if (rows - told < every) return;
    told = rows;
    terminal.stderr.write(printable(`${rows} ${what} (${table})\n`));
  };
}

export function placed(name: string, cwd: string): string {
  return isAbsolute(name) ? name : join(cwd, name);
}

/** Before anything is written: a backup without the key that was asked for is half of one. */
function refuseKey(config: Config, to: string): void {
  if (config.secrets.key)
    throw new ServiceError({
      code: 'request.invalid',
      what: 'the key is not in a file, but comes from secrets.key',
      remedy: 'back it up where it is kept',
    });
  if (existsSync(to)) throw keyExists(to);
  if (!existsSync(config.secrets.keyFile))
    throw new ServiceError({
      code: 'store.secret',
      what: 'the key file is missing',
      where: config.secrets.keyFile,
    });
}

function copyKey(config: Config, to: string): void {
  try {
    copyFileSync(config.secrets.keyFile, to, constants.COPYFILE_EXCL);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') throw keyExists(to);
    throw unwritable(cause, 'the copy of the key file', to);
  }
  chmodSync(to, 0o600);
}

function keyExists(where: string): ServiceError {
  return new ServiceError({ code: 'backup.exists', what: 'there is a file of this name already', where });
}

/** What the file system says to a folder that is not there, may not be written to, or is full; anything else as it is. */
function unwritable(thrown: unknown, what: string, where: string): unknown {
  if (!(thrown instanceof Error) || !('syscall' in thrown)) return thrown;
  return new ServiceError({
    code: 'cli.failed',
    what: `${what} cannot be written`,
    where,
    said: thrown.message,
    remedy: 'name a file in a folder that you can write to, with room for it',
    cause: thrown,
  });
}

function summary(file: string, { counts, manifest, sha256 }: BackupSummary, keyFile: string | null): object {
  const { at, database, history, keys, migrations, version } = manifest;
  return { file, at, database, version, migrations, keys, history, counts, sha256, keyFile };
}

function text(file: string, { counts, manifest, sha256 }: BackupSummary, keyFile: string | null): string {
  const rows = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return sheet([
    ['backup', `${file}, read back and whole`],
    ['of', time(manifest.at)],
    ['holds', `${rows} rows of ${Object.keys(counts).length} tables`],
    ['checksum', sha256],
    ['key', keyFile ?? `not in it: keep the key file (${manifest.keys.join(', ')}) elsewhere`],
    ['images', 'not in it: keep the folder of images, or upload them again'],
  ]);
}
