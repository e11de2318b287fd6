import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import {
  DeviceError,
  describePort,
  parseVlanId,
  portSatisfies,
  resolveSecret,
  type DesiredPort,
  type DeviceContext,
  type ObservedPort,
  type ObservedSwitch,
  type PortAdmin,
  type PortId,
  type SwitchDriver,
  type SwitchIntent,
  type SwitchSession,
  type SwitchTarget,
  type SwitchType,
  type VlanId,
} from '../../../plugin-api/index.ts';
import type { RackConfig, RackSwitch } from '../../../rack-config/index.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';

/** `csbm switch`: reads and changes switch ports directly, from nothing but a rack config; no service is needed. */
export function switchCommand(): Command {
  const command = new Command('switch').description(
    'read, plan and change the ports of a rack config directly on its switches, without the service',
  );
  withTarget(command.command('read'))
    .description('show what the ports of the rack config are')
    .option('--port <port>', 'only this port')
    .action(run(read));
  withWish(withTarget(command.command('plan')))
    .description('show current and wanted state of a port, and the lines that would be sent; changes nothing')
    .action(run(plan));
  withWish(withTarget(command.command('set')))
    .description('change a port: read, plan, apply, read back, save')
    .addHelpText('after', '\nStop the service first, or it sets the port back to what it wants.')
    .action(run(set));
  return command;
}

interface TargetOptions {
  readonly rack: string;
  readonly switch?: string;
  readonly port?: string;
  readonly json?: boolean;
}

interface WishOptions extends TargetOptions {
  readonly port: string;
  /** Not null for "none": commander turns a parsed null into an empty text. */
  readonly native?: VlanId | 'default' | 'none';
  readonly tagged?: readonly VlanId[];
  readonly admin?: PortAdmin;
  readonly uplinks: boolean;
}

function withTarget(command: Command): Command {
  return command
    .requiredOption('--rack <file>', 'rack config (CloudStack rack JSON)')
    .option('--switch <name>', 'name or address of the switch; needed where the rack config has several')
    .option('--json', 'print JSON');
}

function withWish(command: Command): Command {
  return command
    .requiredOption('--port <port>', 'a port of the rack config, for example "Te 1/1"')
    .option('--native <vlan>', 'untagged VLAN: an id, "default" or "none"', parseNative)
    .option('--tagged <vlans>', 'tagged VLANs, comma-separated; "" = none', parseTagged)
    .option('--admin <state>', '"up" or "down"', parseAdmin)
    .option('--no-uplinks', 'leave the uplinks as they are')
    .addHelpText('after', '\nWhat is not given stays as it is.');
}

/** One switch of the rack config, ready to be used. */
interface Bench {
  readonly command: Command;
  readonly rack: RackConfig;
  readonly rackSwitch: RackSwitch;
  readonly type: SwitchType;
  readonly driver: SwitchDriver;
  readonly target: SwitchTarget;
}

function run<T extends TargetOptions>(
  action: (options: T, bench: Bench) => Promise<void>,
): (options: T, command: Command) => Promise<void> {
  return async (options, command) => {
    try {
      await action(options, await prepare(options, command));
    } catch (error) {
      command.error(`error: ${asCodedError(error).message}`, { exitCode: 1 });
    }
  };
}

async function read(options: TargetOptions, bench: Bench): Promise<void> {
  const { rackSwitch, type } = bench;
  const wired = bench.rack.wires.filter((wire) => wire.switch === rackSwitch.name).map((wire) => wire.port);
  const ports =
    options.port === undefined ? [...wired, ...rackSwitch.uplinks] : [type.parsePort(options.port)];
  const { observed, hostKey } = await withSession(bench, async (session) => ({
    observed: await session.read(ports),
    hostKey: session.hostKey,
  }));
  const fingerprint = hostKey === null ? null : `SHA256:${Buffer.from(hostKey, 'hex').toString('base64')}`;
  if (options.json) {
    print(bench, { switch: rackSwitch.name, hostKey: fingerprint, ...asJson(observed, ports) });
    return;
  }
  const unpinned = hostKey !== null && rackSwitch.hostKeyPin === null;
  const pinned = unpinned ? ', not pinned in the rack config' : '';
  const role = (port: PortId): string => (rackSwitch.uplinks.includes(port) ? ' (uplink)' : '');
  print(bench, [
    `${rackSwitch.name}: default VLAN ${observed.defaultVlan ?? 'none'}, host key ${fingerprint ?? 'none'}${pinned}`,
    ...ports.map((port) => `  ${port}${role(port)}: ${describeSeen(observed.ports.get(port))}`),
  ]);
}

async function plan(options: WishOptions, bench: Bench): Promise<void> {
  const { port, intent } = wish(options, bench);
  const observed = await withSession(bench, (session) => session.read([port, ...intent.uplinks]));
  report(options, bench, port, observed, planFor(options, bench, port, observed, intent));
}

async function set(options: WishOptions, bench: Bench): Promise<void> {
  const { port, intent } = wish(options, bench);
  await withSession(bench, async (session) => {
    const observed = await session.read([port, ...intent.uplinks]);
    const planned = planFor(options, bench, port, observed, intent);
    if (planned.lines.length > 0) await session.apply(planned.steps);
    const after = await session.read([port, ...intent.uplinks]);
    const seen = after.ports.get(port);
    if (!seen || !portSatisfies(seen, planned.desired, after.defaultVlan)) {
      throw new DeviceError({
        code: 'switch.not-verified',
        what: `the port shall be "${describePort(planned.desired)}" and is "${describeSeen(seen)}"`,
        where: `switch ${bench.target.name} ${port}`,
      });
    }
    if (planned.lines.length > 0) await session.save();
    report(options, bench, port, observed, planned, seen);
  });
}

interface Planned {
  readonly desired: DesiredPort;
  readonly steps: ReturnType<SwitchDriver['plan']>;
  readonly lines: readonly string[];
}

/** Only ports of the rack config are touched. */
function wish(
  options: WishOptions,
  { rack, rackSwitch, type }: Bench,
): { port: PortId; intent: SwitchIntent } {
  const port = type.parsePort(options.port);
  const wired = rack.wires.some((wire) => wire.switch === rackSwitch.name && wire.port === port);
  if (!wired && !rackSwitch.uplinks.includes(port)) {
    throw new DeviceError({
      code: 'switch.port-guarded',
      what: 'the port is not in the rack config, and is left alone',
      where: `switch ${rackSwitch.name} ${port}`,
    });
  }
  // An uplink that is asked for as a port must be refused by the plan, whatever becomes of the others.
  const uplinks = options.uplinks || !wired ? rackSwitch.uplinks : [];
  return { port, intent: { ports: new Map(), uplinks, carried: [], retired: [], shutDuringMove: true } };
}

function planFor(
  options: WishOptions,
  { driver }: Bench,
  port: PortId,
  observed: ObservedSwitch,
  intent: SwitchIntent,
): Planned {
  const seen = observed.ports.get(port);
  const kept = seen?.native ?? null;
  const native = options.native === 'none' ? null : (options.native ?? kept);
  const desired: DesiredPort = {
    native,
    tagged: options.tagged ?? seen?.tagged ?? [],
    admin: options.admin ?? (options.native === 'none' ? 'down' : (seen?.admin ?? 'down')),
  };
  const vlans = typeof native === 'number' ? [native, ...desired.tagged] : desired.tagged;
  const carried = intent.uplinks.length > 0 ? vlans.filter((vlan) => vlan !== observed.defaultVlan) : [];
  const steps = driver.plan(observed, { ...intent, ports: new Map([[port, desired]]), carried });
  return { desired, steps, lines: driver.render(steps) };
}

function report(
  options: WishOptions,
  bench: Bench,
  port: PortId,
  observed: ObservedSwitch,
  { desired, lines }: Planned,
  after?: ObservedPort,
): void {
  const before = observed.ports.get(port);
  if (options.json) {
    const result = after === undefined ? {} : { after, saved: true };
    print(bench, { switch: bench.rackSwitch.name, port, before, desired, lines, ...result });
    return;
  }
  print(bench, [
    `${bench.rackSwitch.name} ${port}`,
    `  current: ${describeSeen(before)}`,
    `  target:  ${describePort(desired)}`,
    ...(lines.length > 0 ? ['  lines:', ...lines.map((line) => `    ${line}`)] : ['  nothing to do']),
    ...(after === undefined ? [] : [`  now:     ${describePort(after)} (read back, saved)`]),
  ]);
}

function describeSeen(port: ObservedPort | undefined): string {
  return port ? describePort(port) : 'the switch has no such port';
}

function asJson(observed: ObservedSwitch, ports: readonly PortId[]): object {
  return {
    defaultVlan: observed.defaultVlan,
    ports: Object.fromEntries(ports.map((port) => [port, observed.ports.get(port) ?? null])),
    vlans: [...observed.vlans.values()],
  };
}

function print({ command }: Bench, output: object | readonly string[]): void {
  const text = Array.isArray(output) ? output.join('\n') : JSON.stringify(output, null, 2);
  command.configureOutput().writeOut?.(`${text}\n`);
}

async function withSession<T>(
  { driver, target }: Bench,
  work: (session: SwitchSession) => Promise<T>,
): Promise<T> {
  const session = await driver.open(target);
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

async function prepare(options: TargetOptions, command: Command): Promise<Bench> {
  const { parseRackConfig } = await import('../../../rack-config/index.ts');
  const { SystemClock } = await import('../../kernel/clock/system-clock.ts');
  // Drivers are loaded when they are needed: most commands need none.
  const { switchRegistry, switchTypes } = await import('../../drivers/switch/registry.ts');
  const rack = parseRackConfig(readRackFile(options.rack), switchTypes);
  const rackSwitch = chooseSwitch(rack, options.switch);
  const { type, create } = switchRegistry.get(rackSwitch.type)!;
  const context: DeviceContext = { clock: new SystemClock(), log: () => undefined };
  return {
    command,
    rack,
    rackSwitch,
    type,
    driver: create(context, undefined),
    target: targetOf(rackSwitch),
  };
}

function readRackFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ServiceError({
      code: 'config.invalid',
      what: 'the rack config cannot be read',
      where: path,
      said: (cause as Error).message,
      remedy: 'name a readable file with --rack',
      cause,
    });
  }
}

function chooseSwitch(rack: RackConfig, wanted: string | undefined): RackSwitch {
  const fitting = rack.switches.filter(
    ({ name, host }) => wanted === undefined || name === wanted || host === wanted,
  );
  if (fitting.length === 1) return fitting[0]!;
  throw new ServiceError({
    code: 'request.invalid',
    what:
      wanted === undefined ? 'the rack config has several switches' : `no one switch is called "${wanted}"`,
    remedy: `choose one with --switch: ${rack.switches.map(({ name }) => name).join(', ')}`,
  });
}

function targetOf(rackSwitch: RackSwitch): SwitchTarget {
  const sources = { env: process.env, readFile: (path: string) => readFileSync(path, 'utf8') };
  const { enablePassword, hostKeyPin } = rackSwitch;
  return {
    name: rackSwitch.name,
    type: rackSwitch.type,
    host: rackSwitch.host,
    transport: rackSwitch.transport,
    port: rackSwitch.tcpPort,
    username: rackSwitch.username,
    password: resolveSecret(rackSwitch.password, sources),
    enablePassword: enablePassword === null ? undefined : resolveSecret(enablePassword, sources),
    hostKeyPin: hostKeyPin ?? undefined,
    legacyCrypto: rackSwitch.legacyCrypto,
  };
}

function parseNative(text: string): VlanId | 'default' | 'none' {
  return text === 'default' || text === 'none' ? text : vlanArgument(text);
}

function parseTagged(text: string): VlanId[] {
  const ids = text.split(',').filter((part) => part.trim() !== '');
  return [...new Set(ids.map(vlanArgument))].sort((a, b) => a - b);
}

function parseAdmin(text: string): PortAdmin {
  if (text === 'up' || text === 'down') return text;
  throw new InvalidArgumentError('Write "up" or "down".');
}

function vlanArgument(text: string): VlanId {
  try {
    return parseVlanId(text);
  } catch (error) {
    throw new InvalidArgumentError(asCodedError(error).message);
  }
}
