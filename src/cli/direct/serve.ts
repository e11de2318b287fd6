import { existsSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { Command } from 'commander';
import { printer } from '../admin/verb.ts';
import { sheet } from '../table.ts';
import { exitCodes } from '../exit-code.ts';
import { printable, type Terminal } from '../terminal.ts';
import { clockHook } from './clock-hook.ts';
import { crashHook } from './crash-hook.ts';

/**
 * Garbage is looked for when the heap has grown by a fifth since the last time. V8 alone waits, where a machine has much memory, until it is four
 * times as large: a thousand Starts at once, which need 150 MiB, had 750 MiB resident. A limit of the heap (`--max-old-space-size`) would end the
 * process where more is really needed.
 */
const collectEagerly = '--heap-growing-percent=20';

interface ServeOptions {
  readonly config?: string;
  readonly json?: true;
}

/** `csbm serve`: the service in the foreground. Its log goes to standard error, one JSON object a line. */
export function serveCommand(terminal: Terminal): Command {
  return new Command('serve')
    .description('run the service in the foreground until SIGTERM or Ctrl-C')
    .option('--config <file>', 'csbm.yaml (default: CSBM_CONFIG, else csbm.yaml here, else defaults)')
    .option('--json', 'print where it is reached as one JSON document')
    .action((options: ServeOptions) => serve(terminal, options));
}

async function serve(terminal: Terminal, options: ServeOptions): Promise<void> {
  const { cwd, env } = terminal;
  setFlagsFromString(collectEagerly);
  // From here to the end: where nobody hears it, SIGHUP ends a process, and systemd takes that for a wanted end.
  let reload = (): void => undefined;
  process.on('SIGHUP', () => reload());
  const [{ loadConfig }, { createLog }] = await Promise.all([
    import('../../config/load-config.ts'),
    import('../../kernel/log/log.ts'),
  ]);
  const { config, file, warnings } = loadConfig({ path: options.config, env, cwd });
  const log = createLog({ level: config.log.level });
  for (const warning of warnings) terminal.stderr.write(printable(`warning: ${warning}\n`));
  const hooks = crashHook(env, (line) => void terminal.stderr.write(line));
  const { startService } = await import('../../main.ts');
  const clock = clockHook(env);
  // From here on something is open; a signal that came before has ended the process at once.
  const stopping = new AbortController();
  const stopped = stopSignal(stopping);
  const { signal } = stopping;
  const service = await startService({
    ...{ config, log, env, signal },
    ...(hooks && { hooks }),
    ...(clock && { clock }),
  }).catch((thrown: unknown) => {
    if (thrown === signal.reason) return null;
    throw thrown;
  });
  if (!service) {
    terminal.stderr.write(`${await stopped}: stopped before it was up\n`);
    return;
  }
  const { adminUrl, bootUrl } = service;
  // Made by this start, or by an earlier one.
  const tokenFile =
    service.adminTokenFile ?? (existsSync(config.admin.tokenFile) ? config.admin.tokenFile : null);
  const json = options.json ?? false;
  printer(terminal, json)(
    { adminUrl, bootUrl, adminTokenFile: tokenFile, config: file, pid: process.pid },
    () =>
      sheet([
        ['admin API', adminUrl],
        ['boot service', bootUrl],
        ['admin token', tokenFile ?? 'as it was given; only its hash is kept'],
        ['configuration', file ?? 'defaults'],
        ['data', config.stateDir],
      ]),
  );
  reload = () => service.reload();
  const end = await Promise.race([stopped, service.gone]);
  reload = () => undefined;
  if (typeof end !== 'string') {
    // Nothing is put in order: whatever is still open here is in other hands.
    log.fatal({ error: end.message }, 'this instance ends');
    terminal.stderr.write(printable(`csbm: ${end.message}\n`));
    process.exit(exitCodes.failed);
  }
  if (!json)
    terminal.stderr.write(`${end}: stopping; operations stay in the journal and go on at the next start\n`);
  await service.stop();
}

/** Resolves at the first SIGTERM or SIGINT, and aborts `stopping`; a second one ends the process at once, as it would have without us. */
function stopSignal(stopping: AbortController): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const stop = (signal: NodeJS.Signals): void => {
      process.off('SIGTERM', stop);
      process.off('SIGINT', stop);
      stopping.abort(new Error('the service was told to stop'));
      resolve(signal);
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
  });
}
