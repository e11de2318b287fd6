import { InvalidArgumentError, Option, type Command } from 'commander';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { hiddenPrompt } from '../hidden-prompt.ts';
import { readSecretFile } from '../secret-file.ts';
import type { Terminal } from '../terminal.ts';
import type { MachineView } from './api-types.ts';
import { adminRun, adminVerb, type AdminOptions } from './verb.ts';

interface EnrolOptions extends AdminOptions {
  readonly mac: readonly string[];
  readonly bmc: { readonly host: string; readonly port?: number };
  readonly bmcUser: string;
  readonly bmcPasswordFile?: string;
  readonly bmcKgFile?: string;
  readonly minSuite?: string;
  readonly bmcPrivilege?: string;
  readonly firmware?: string;
  readonly wiring?: string;
  readonly engine?: string;
  readonly pool?: string;
  readonly site?: string;
  readonly rootDiskSerial?: string;
  readonly cloud?: string;
  readonly zone?: string;
  readonly pod?: string;
  readonly cluster?: string;
  readonly hostTag?: string;
}

/** `csbm machine enrol`: secrets come from the environment, a file or a prompt, never from an argument. */
export function enrolVerb(group: Command, terminal: Terminal): void {
  adminVerb(
    group
      .command('enrol <hostname>')
      .description('make a machine known; the same BMC address or MACs again change what is known'),
  )
    .requiredOption('--mac <mac>', 'MAC of a NIC, the most important first (repeatable)', collect, [])
    .requiredOption('--bmc <host[:port]>', 'address of its BMC', endpoint)
    .requiredOption('--bmc-user <name>', 'user of the BMC')
    .option(
      '--bmc-password-file <file>',
      'file with the password (default: CSBM_BMC_PASSWORD, else it is asked for)',
    )
    .option('--bmc-kg-file <file>', 'file with the BMC key Kg (default: CSBM_BMC_KG, else none)')
    .addOption(new Option('--min-suite <suite>', 'weakest acceptable cipher suite').choices(['3', '17']))
    .addOption(
      new Option('--bmc-privilege <level>', 'level to ask the BMC for (default: operator)').choices([
        'operator',
        'administrator',
      ]),
    )
    .addOption(new Option('--firmware <kind>', 'how it boots').choices(['legacy', 'efi']))
    .addOption(
      new Option('--wiring <kind>', 'none = somebody else cares for its switch ports').choices([
        'managed',
        'none',
      ]),
    )
    .option('--engine <name>', 'deploy engine that installs it: native, maas, maas:<name> (default: native)')
    .option('--pool <pool>', 'which doors may claim it')
    .option('--site <site>', 'lab or data centre')
    .option('--root-disk-serial <serial>', 'disk to install to (default: the smallest that fits)')
    .option('--cloud <name>', 'the CloudStack that it is a host of (needs --zone, --pod and --cluster)')
    .option('--zone <zone>', 'its zone there')
    .option('--pod <pod>', 'its pod there')
    .option('--cluster <cluster>', 'its cluster there')
    .option('--host-tag <tag>', 'host tag that offerings ask for')
    .action(async (hostname: string, options: EnrolOptions) => {
      const place = cloudPlace(options);
      const { client, print } = await adminRun(terminal, options);
      const body = {
        hostname,
        macs: options.mac,
        bmc: {
          ...options.bmc,
          username: options.bmcUser,
          password: await bmcPassword(terminal, options),
          ...bmcKey(terminal, options),
          ...(options.minSuite !== undefined && { minSuite: Number(options.minSuite) }),
          ...(options.bmcPrivilege !== undefined && { privilege: options.bmcPrivilege }),
        },
        firmware: options.firmware,
        wiring: options.wiring,
        engine: options.engine,
        pool: options.pool,
        site: options.site,
        rootDiskSerial: options.rootDiskSerial,
        cloudPlace: place,
      };
      const document = await client.call<{ readonly machine: MachineView }>('POST', '/machines', { body });
      const { id, state } = document.machine;
      print(document, () => `${hostname} is machine ${id}, ${state}`);
    });
}

function cloudPlace({ cloud, zone, pod, cluster, hostTag }: EnrolOptions): object | undefined {
  const parts = { cloud, zone, pod, cluster };
  const given = Object.values(parts).filter((part) => part !== undefined).length;
  if (given === 0 && hostTag === undefined) return undefined;
  if (given === 4) return { ...parts, hostTag };
  const missing = Object.entries(parts).filter(([, part]) => part === undefined);
  throw new ServiceError({
    code: 'cli.usage',
    what: 'a place in CloudStack is given in part',
    remedy: `give also ${missing.map(([name]) => `--${name}`).join(', ')}`,
  });
}

async function bmcPassword(terminal: Terminal, { bmcPasswordFile, bmcUser }: EnrolOptions): Promise<string> {
  if (bmcPasswordFile !== undefined) return readSecretFile(terminal, bmcPasswordFile);
  return (
    terminal.env['CSBM_BMC_PASSWORD'] ??
    hiddenPrompt(
      terminal,
      `password of BMC user ${bmcUser}`,
      'set CSBM_BMC_PASSWORD, or name a file with --bmc-password-file',
    )
  );
}

function bmcKey(terminal: Terminal, { bmcKgFile }: EnrolOptions): { readonly kg?: string } {
  const kg = bmcKgFile === undefined ? terminal.env['CSBM_BMC_KG'] : readSecretFile(terminal, bmcKgFile);
  return kg === undefined ? {} : { kg };
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

/** `host`, `host:port`, `[IPv6]:port` or a bare IPv6 address. */
function endpoint(text: string): EnrolOptions['bmc'] {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? (/^[0-9a-fA-F:.]+:[0-9a-fA-F:.]*$/.test(text) ? text : undefined);
  const port = match?.[3] === undefined ? undefined : Number(match[3]);
  if (host === undefined || (port !== undefined && (port < 1 || port > 65_535)))
    throw new InvalidArgumentError('write HOST, HOST:PORT or [IPv6]:PORT');
  return port === undefined ? { host } : { host, port };
}
