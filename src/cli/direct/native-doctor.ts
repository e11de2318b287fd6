import { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import type { Check } from '../../drivers/deploy/native/provisioning/checks.ts';
import { addLeasesVerb } from '../admin/native-leases.ts';
import { printer } from '../admin/verb.ts';
import { Exit, exitCodes } from '../exit-code.ts';
import type { Terminal } from '../terminal.ts';

interface DoctorOptions {
  readonly config?: string;
  readonly json?: true;
}

/** `csbm native` */
export function nativeCommand(terminal: Terminal): Command {
  const group = new Command('native');
  group
    .command('doctor')
    .description('check what the native engine needs here: programs, files, interface, ports, rights')
    .option('--config <file>', 'csbm.yaml (default: CSBM_CONFIG, else csbm.yaml here, else defaults)')
    .option('--json', 'print one JSON document')
    .action((options: DoctorOptions) => doctor(terminal, options));
  addLeasesVerb(group, terminal);
  return group;
}

async function doctor(terminal: Terminal, options: DoctorOptions): Promise<void> {
  const { loadConfig } = await import('../../config/load-config.ts');
  const { config } = loadConfig({ path: options.config, env: terminal.env, cwd: terminal.cwd });
  const checks = await examine(config);
  const ok = checks.every(({ outcome }) => outcome !== 'failed');
  printer(terminal, options.json ?? false)({ ok, checks }, () => checks.map(line).join('\n'));
  if (!ok) throw new Exit(exitCodes.failed);
}

/** Everything that can be looked at, whatever else is missing. */
async function examine(config: Config): Promise<readonly Check[]> {
  const [checks, { provisioningSettings, dnsmasqArguments }, { readHostNetwork }, { findProcesses }] =
    await Promise.all([
      import('../../drivers/deploy/native/provisioning/checks.ts'),
      import('../../drivers/deploy/native/provisioning/settings.ts'),
      import('../../drivers/deploy/native/provisioning/host-network.ts'),
      import('../../drivers/deploy/native/provisioning/own-processes.ts'),
    ]);
  const { network } = config.provisioning;
  const { host, port, publicUrl, tls } = config.boot;
  const scheme = tls.certFile === undefined ? 'http' : 'https';
  const settings = provisioningSettings(
    network,
    config.stateDir,
    publicUrl ?? `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`,
  );
  const programs = await checks.programChecks(network.dnsmasq);
  const anywhere = [
    network.enabled
      ? checks.ok('configuration', 'provisioning.network.enabled: true')
      : checks.warning(
          'configuration',
          'the provisioning network is not served: DHCP and TFTP are those of somebody else',
          'set provisioning.network.enabled: true, with interface, address and range, if csbm is to do it',
        ),
    ...programs,
    await checks.bootFileCheck(network.tftpDir),
    await checks.ramdiskCheck(config.stateDir),
    await checks.conversionCheck(config.provisioning.conversion.qemuImg),
    await checks.stateFolderCheck(config.stateDir),
    checks.rightsCheck(await checks.readRights()),
  ];
  if (!settings) return anywhere;
  const here = [checks.bootUrlCheck(settings), await checks.bootServiceCheck(settings)];
  if (programs.some(({ name, outcome }) => name === 'iproute2' && outcome === 'failed'))
    return [...anywhere, ...here];
  const seen = await readHostNetwork();
  const ours = (await findProcesses(dnsmasqArguments(settings))).map(({ pid }) => pid);
  return [
    ...anywhere,
    checks.interfaceCheck(settings, seen),
    checks.advertisementCheck(settings, seen),
    checks.portCheck(settings, seen, ours),
    ...here,
  ];
}

const marks = { ok: 'ok     ', warning: 'warning', failed: 'FAILED ' } as const;

function line({ name, outcome, what, remedy }: Check): string {
  return `${marks[outcome]}  ${name}: ${what}${remedy === null ? '' : `  ->  ${remedy}`}`;
}
