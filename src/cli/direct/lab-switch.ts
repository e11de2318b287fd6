import { once } from 'node:events';
import { Command, InvalidArgumentError } from 'commander';

/** Anybody who reads the source knows it: a password for a switch that does not exist. */
const fakePassword = 'not-a-secret';

interface Options {
  port: number;
  user: string;
  defaultVlan: number | null;
  ports: string;
  uplinks?: string;
  latency: number;
}

/** `switch` (of `csbm lab`): one simulated Dell OS9 switch in the foreground, until Ctrl-C. */
export function labSwitchCommand(): Command {
  return new Command('switch')
    .description('run a simulated Dell OS9 switch (SSH on 127.0.0.1) until Ctrl-C')
    .option('--port <n>', 'TCP port, 0 = any free one', whole(0, 65_535), 0)
    .option('--user <name>', 'user name', 'admin')
    .option('--default-vlan <id>', 'default VLAN, or "none" for the null VLAN', defaultVlan, 1)
    .option('--ports <list>', 'server ports', 'Te 1/1-1/8')
    .option('--uplinks <list>', 'ports towards other switches')
    .option('--latency <ms>', 'how long each command takes, in milliseconds', whole(0, 60_000), 0)
    .addHelpText('after', '\nThe password is taken from the environment variable CSBM_LAB_PASSWORD.')
    .action(run);
}

async function run(options: Options, command: Command): Promise<void> {
  const { LabSwitch } = await import('../../../lab/switch/index.ts');
  const fromEnvironment = process.env['CSBM_LAB_PASSWORD'];
  const { username, password } = { username: options.user, password: fromEnvironment ?? fakePassword };
  const lab = await LabSwitch.start({
    name: 'lab-switch',
    ports: [options.ports],
    ...(options.uplinks === undefined ? {} : { uplinks: [options.uplinks] }),
    username,
    password,
    defaultVlan: options.defaultVlan,
    port: options.port,
    latencyMs: options.latency,
  }).catch((error: unknown) =>
    command.error(`error: ${error instanceof Error ? error.message : String(error)}`, { exitCode: 1 }),
  );
  const stopped = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  process.stdout.write(
    [
      'Simulated Dell OS9 switch. Ctrl-C stops it.',
      `  ssh -p ${lab.port} ${username}@${lab.host}`,
      `  password: ${fromEnvironment === undefined ? fakePassword : 'as in CSBM_LAB_PASSWORD'}`,
      `  host key: SHA-256 ${lab.hostKeySha256}`,
      '',
    ].join('\n'),
  );
  await stopped;
  await lab.stop();
}

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const n = Number(text);
    if (!/^\d+$/.test(text) || n < least || n > most)
      throw new InvalidArgumentError(`Use a whole number from ${least} to ${most}.`);
    return n;
  };
}

function defaultVlan(text: string): number | null {
  return text === 'none' ? null : whole(1, 4094)(text);
}
