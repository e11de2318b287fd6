import { Command } from 'commander';
import { printer } from '../admin/verb.ts';
import { printable, type Terminal } from '../terminal.ts';

/** `csbm config` */
export function configCommand(terminal: Terminal): Command {
  const group = new Command('config');
  group
    .command('check')
    .description('check csbm.yaml, the environment and every secret they refer to')
    .option('--config <file>', 'csbm.yaml (default: CSBM_CONFIG, else csbm.yaml here, else defaults)')
    .option('--json', 'print one JSON document')
    .action(async ({ config: path, json = false }: { config?: string; json?: boolean }) => {
      const { loadConfig } = await import('../../config/load-config.ts');
      const { file, warnings } = loadConfig({ path, env: terminal.env, cwd: terminal.cwd });
      printer(terminal, json)({ ok: true, file, warnings }, () =>
        [
          file === null ? 'there is no file: the defaults hold' : `${file} is right`,
          ...warnings.map((warning) => `warning: ${printable(warning)}`),
        ].join('\n'),
      );
    });
  group
    .command('show-reference')
    .description('every key of csbm.yaml with type, default and meaning')
    .option('--json', 'print one JSON document')
    .action(async ({ json = false }: { json?: boolean }) => {
      const [{ configReference }, { settings }] = await Promise.all([
        import('../../config/config-reference.ts'),
        import('../../config/config-tree.ts'),
      ]);
      printer(terminal, json)({ settings }, configReference);
    });
  return group;
}
