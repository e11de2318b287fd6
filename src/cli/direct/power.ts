import { Exit } from '../exit-code.ts';
import { hiddenPrompt } from '../hidden-prompt.ts';
import { Command, InvalidArgumentError, Option } from 'commander';
import {
  seconds,
  Secret,
  type Bmc,
  type BmcTarget,
  type BootDevice,
  type CodedError,
  type Duration,
  type PowerDriver,
} from '../../../plugin-api/index.ts';
import { parseDuration } from '../../kernel/clock/duration.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';

/** What the command needs of the process; replaced in tests. */
export interface PowerCommandIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadStream;
  print(text: string): void;
  complain(text: string): void;
  setExitCode(code: number): void;
  /** Calls `stop` when the user interrupts; the returned function ends that. */
  onInterrupt(stop: () => void): () => void;
}

interface Endpoint {
  readonly host: string;
  readonly port: number;
}

interface CommonOptions {
  readonly bmc: Endpoint;
  readonly user: string;
  readonly minSuite: 3 | 17;
  readonly kgEnv?: string;
  readonly json?: true;
}

interface Outcome {
  /** For people. */
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const passwordVariable = 'CSBM_BMC_PASSWORD';
const defaultPort = 623;

const processIo: PowerCommandIo = {
  env: process.env,
  stdin: process.stdin,
  print: (text) => process.stdout.write(text),
  complain: (text) => process.stderr.write(text),
  setExitCode: (code) => {
    process.exitCode = code;
  },
  onInterrupt(stop) {
    process.once('SIGINT', stop);
    return () => process.off('SIGINT', stop);
  },
};

/** `csbm power ...`: a machine's power through its BMC, without a service. Exit code 0 when done, 1 when not. */
export function powerCommand(io: PowerCommandIo = processIo): Command {
  const power = new Command('power').description(
    `act on a BMC directly (IPMI 2.0); the password comes from ${passwordVariable}, or is asked for on a terminal`,
  );
  const within = new Option('--within <time>', 'how long the power may take to follow')
    .argParser(readDuration)
    .default(seconds(60), '60s');

  common(power.command('status').description('show whether the machine is on')).action(
    (options: CommonOptions) =>
      run(io, 'status', options, async (bmc, signal) => {
        const state = await bmc.state(signal);
        return { text: `power is ${state}`, fields: { power: state } };
      }),
  );

  for (const wanted of ['on', 'off'] as const)
    common(power.command(wanted).description(`switch the machine ${wanted} and confirm it`))
      .addOption(within)
      .action((options: CommonOptions & { readonly within: Duration }) =>
        run(io, wanted, options, async (bmc, signal) => {
          const evidence = await bmc.turn(wanted, options.within, signal);
          return { text: evidence.summary, fields: { power: wanted, evidence } };
        }),
      );

  common(power.command('soft').description('ask the OS to shut down (ACPI)')).action(
    (options: CommonOptions) =>
      run(io, 'soft', options, async (bmc, signal) => {
        await bmc.soft(signal);
        return { text: 'asked the OS to shut down', fields: {} };
      }),
  );

  common(power.command('cycle').description('power cycle a machine that is on')).action(
    (options: CommonOptions) =>
      run(io, 'cycle', options, async (bmc, signal) => {
        await bmc.cycle(signal);
        return { text: 'power cycle accepted', fields: {} };
      }),
  );

  common(power.command('bootdev').description('set what the machine boots next'))
    .addOption(new Option('--device <device>', 'boot device').choices(['pxe', 'disk']).makeOptionMandatory())
    .option('--persistent', 'for every boot, not only the next')
    .option('--efi', 'boot by UEFI')
    .action(
      (
        options: CommonOptions & {
          readonly device: BootDevice;
          readonly persistent?: true;
          readonly efi?: true;
        },
      ) =>
        run(io, 'bootdev', options, async (bmc, signal) => {
          const request = {
            device: options.device,
            persistent: options.persistent ?? false,
            firmware: options.efi ? 'efi' : 'legacy',
          } as const;
          const evidence = await bmc.setBootDevice(request, signal);
          return { text: evidence.summary, fields: { evidence } };
        }),
    );
  return power;
}

function common(command: Command): Command {
  return command
    .addOption(
      new Option('--bmc <host[:port]>', `address of the BMC, port ${defaultPort} unless said otherwise`)
        .argParser(readEndpoint)
        .makeOptionMandatory(),
    )
    .requiredOption('--user <name>', 'user of the BMC')
    .addOption(
      new Option('--min-suite <suite>', 'weakest cipher suite that is acceptable: 17 or 3')
        .argParser(readSuite)
        .default(3),
    )
    .option('--kg-env <variable>', 'environment variable that holds the BMC key (Kg)')
    .option('--json', 'print one JSON object');
}

async function run(
  io: PowerCommandIo,
  action: string,
  options: CommonOptions,
  task: (bmc: Bmc, signal: AbortSignal) => Promise<Outcome>,
): Promise<void> {
  const { host, port } = options.bmc;
  const bmc = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const stop = new AbortController();
  const ignoreInterrupt = io.onInterrupt(() => stop.abort(interrupted()));
  let driver: PowerDriver | null = null;
  try {
    const target = await targetOf(io, options);
    // Loaded only now, so that the rest of the command line starts fast.
    const [{ createIpmiDriver }, { SystemClock }] = await Promise.all([
      import('../../drivers/power/ipmi/ipmi-driver.ts'),
      import('../../kernel/clock/system-clock.ts'),
    ]);
    driver = createIpmiDriver({ clock: new SystemClock(), log: () => undefined }, {});
    const outcome = await task(driver.open(target), stop.signal);
    const result = { ok: true, bmc, action, ...outcome.fields };
    io.print(options.json ? `${JSON.stringify(result)}\n` : `${outcome.text}\n`);
  } catch (error) {
    const failure = isCoded(error) ? error : asCodedError(error);
    if (options.json) io.print(`${JSON.stringify({ ok: false, bmc, action, error: failure })}\n`);
    else io.complain(`csbm power ${action}: ${failure.message}\n`);
    io.setExitCode(1);
  } finally {
    await driver?.close();
    ignoreInterrupt();
  }
}

async function targetOf(io: PowerCommandIo, options: CommonOptions): Promise<BmcTarget> {
  const kg =
    options.kgEnv === undefined ? undefined : new Secret(fromEnvironment(io, options.kgEnv, '--kg-env'));
  const password = io.env[passwordVariable] ?? (await askPassword(io, options.user));
  return {
    host: options.bmc.host,
    port: options.bmc.port,
    username: options.user,
    password: new Secret(password),
    kg,
    minSuite: options.minSuite,
  };
}

function fromEnvironment(io: PowerCommandIo, variable: string, option: string): string {
  const value = io.env[variable];
  if (value === undefined) throw refusal(`${option}: there is no environment variable ${variable}`);
  return value;
}

/** By shape, not by class: a lazily imported driver may live in another module graph (so it is under tsx). */
function isCoded(error: unknown): error is CodedError {
  return error instanceof Error && 'code' in error && 'retry' in error;
}

function refusal(what: string): ServiceError {
  return new ServiceError({ code: 'request.invalid', what });
}

function interrupted(): ServiceError {
  return new ServiceError({ code: 'operation.cancelled', what: 'interrupted' });
}

async function askPassword(io: PowerCommandIo, user: string): Promise<string> {
  if (!io.stdin.isTTY) throw refusal(`no password: set ${passwordVariable}, or run this on a terminal`);
  try {
    return await hiddenPrompt(
      { stdin: io.stdin, stderr: { write: (text) => io.complain(text) } },
      `Password of ${user}`,
      `set ${passwordVariable}`,
    );
  } catch (thrown) {
    throw thrown instanceof Exit ? interrupted() : thrown;
  }
}

function readEndpoint(text: string): Endpoint {
  const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(text);
  const plain = /^([^:\s]+)(?::(\d+))?$/.exec(text);
  // A bare IPv6 address has several colons and no port.
  const bare = text.split(':').length > 2 ? [text, text] : null;
  const match = bracketed ?? plain ?? bare;
  const port = Number(match?.[2] ?? defaultPort);
  if (!match || port < 1 || port > 65_535)
    throw new InvalidArgumentError('write HOST, HOST:PORT or [IPv6]:PORT');
  return { host: match[1]!, port };
}

function readSuite(text: string): 3 | 17 {
  if (text === '3') return 3;
  if (text === '17') return 17;
  throw new InvalidArgumentError('write 17 or 3');
}

function readDuration(text: string): Duration {
  const time = parseDuration(text);
  if (time === null) throw new InvalidArgumentError('write a time such as 30s or 5m');
  return time;
}
