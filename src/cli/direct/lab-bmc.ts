import { once } from 'node:events';
import { Command, InvalidArgumentError, Option } from 'commander';
import { SystemClock } from '../../kernel/clock/system-clock.ts';

/** Anybody who reads the source knows it: a password for a BMC that does not exist. */
const fakePassword = 'not-a-secret';

interface Options {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly power: 'on' | 'off';
  readonly suites: 'all' | '3' | '17';
  readonly latency: number;
  readonly drop: number;
  readonly json: boolean;
}

/** `csbm lab bmc`: one simulated BMC in the foreground, until interrupted; its host is nothing but a power state. */
export function labBmcCommand(): Command {
  return new Command('bmc')
    .description('run a simulated BMC (IPMI 2.0 over UDP) until Ctrl-C')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <n>', 'UDP port, 0 = any free one', whole(0, 65_535), 0)
    .option('--user <name>', 'user name, with operator privilege', 'admin')
    .addOption(new Option('--power <state>', 'power at the start').choices(['on', 'off']).default('off'))
    .addOption(new Option('--suites <suites>', 'cipher suites').choices(['all', '3', '17']).default('all'))
    .option('--latency <ms>', 'how long each answer takes, in milliseconds', whole(0, 60_000), 0)
    .option('--drop <percent>', 'part of the datagrams that is lost, each way', whole(0, 100), 0)
    .option('--json', 'print one JSON object', false)
    .addHelpText('after', '\nThe password is taken from the environment variable CSBM_LAB_PASSWORD.')
    .action(run);
}

async function run(options: Options, command: Command): Promise<void> {
  // From the first moment on, so that an early Ctrl-C ends it orderly too.
  const stopped = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  const [{ LabBmc }, { StandaloneHost }] = await Promise.all([
    import('../../../lab/bmc/lab-bmc.ts'),
    import('../../../lab/bmc/standalone-host.ts'),
  ]);
  const fromEnvironment = process.env['CSBM_LAB_PASSWORD'];
  const password = fromEnvironment ?? fakePassword;
  const bmc = new LabBmc({
    host: new StandaloneHost({ clock: new SystemClock(), power: options.power }),
    traits: {
      users: [{ name: options.user, password, level: 3 }],
      suites: options.suites === 'all' ? [3, 17] : [options.suites === '3' ? 3 : 17],
    },
    behaviours: { delayMs: options.latency, dropIn: options.drop / 100, dropOut: options.drop / 100 },
  });
  const { address, port } = await bmc
    .listen(options.port, options.host)
    .catch((error: unknown) =>
      command.error(`error: ${error instanceof Error ? error.message : String(error)}`, { exitCode: 1 }),
    );
  const shown = fromEnvironment === undefined ? fakePassword : 'as in CSBM_LAB_PASSWORD';
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ host: address, port, user: options.user })}\n`
      : [
          'Simulated BMC. Ctrl-C stops it.',
          `  CSBM_BMC_PASSWORD=... csbm power status --bmc ${address}:${port} --user ${options.user}`,
          `  password: ${shown}`,
          '',
        ].join('\n'),
  );
  await stopped;
  await bmc.close();
}

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const n = Number(text);
    if (!/^\d+$/.test(text) || n < least || n > most)
      throw new InvalidArgumentError(`Use a whole number from ${least} to ${most}.`);
    return n;
  };
}
