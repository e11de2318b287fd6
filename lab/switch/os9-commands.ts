import type { CommandPattern } from './cli-grammar.ts';
import type { Os9Knobs } from './os9-knobs.ts';
import type { Os9Line } from './os9-lines.ts';
import type { Os9Model } from './os9-model.ts';
import {
  lagConfiguration,
  portConfiguration,
  showConfiguration,
  showInterface,
  showInterfacesDescription,
  showInterfacesStatus,
  showSwitchport,
  showVersion,
  showVlan,
  showVlanBrief,
  vlanConfiguration,
} from './os9-output.ts';
import type { PortName } from './os9-port-name.ts';
import { portList, portName, shortPort, vlanList } from './os9-port-name.ts';
import { Os9Refusal } from './os9-refusal.ts';
import { say, type Reply } from './os9-reply.ts';

export type Mode =
  | { readonly kind: 'exec' }
  | { readonly kind: 'privileged' }
  | { readonly kind: 'config' }
  | { readonly kind: 'vlan'; readonly ids: readonly number[]; readonly range: boolean }
  | { readonly kind: 'port'; readonly ports: readonly PortName[]; readonly range: boolean }
  | { readonly kind: 'lacp'; readonly port: PortName };

/** The command line of a session, as far as commands read and change it. */
export interface CommandLine {
  readonly model: Os9Model;
  readonly line: Os9Line;
  readonly prompt: string;
  mode: Mode;
  /** Lines per page; 0 = no pager. */
  terminalLength: number;
  /** Whether log messages appear in this session. */
  monitor: boolean;
  /** Runs a line as if typed in the given mode, with the caret of an error that many columns to the right. */
  run(text: string, mode: Mode, indent: number): Reply;
  /** Leaves configuration mode: `end`, Ctrl-Z. */
  leaveConfiguration(): void;
}

export interface Command extends CommandPattern {
  readonly run: (cli: CommandLine, values: readonly string[]) => Reply | readonly string[];
  /** Written out, where the pattern itself is a shorthand. */
  readonly meaning?: string;
}

/** The commands that a mode understands; interface modes understand those of configuration mode as well. */
export function commandsOf(mode: Mode, knobs: Os9Knobs): readonly Command[] {
  const through = knobs.subModes === 'through configuration mode' && isSubMode(mode);
  return byMode[mode.kind].filter(
    (one) =>
      (knobs.terminalWidth || one !== terminalWidth) &&
      (!through || !/^(?:no )?interface /.test(one.pattern)),
  );
}

function isSubMode({ kind }: Mode): boolean {
  return kind === 'vlan' || kind === 'port' || kind === 'lacp';
}

type Edit = (cli: CommandLine, values: readonly string[]) => void;

/** A command that answers with text or a question. */
const tell = (
  pattern: string,
  run: (cli: CommandLine, values: readonly string[]) => Reply | readonly string[],
): Command => ({
  pattern,
  run,
});

/** A command that is silent when it works. */
const act = (pattern: string, run: Edit): Command => ({
  pattern,
  run: (cli, values) => {
    run(cli, values);
    return [];
  },
});

const logout = (): Reply => ({ ...say([]), end: 'logout' });

function knownPort(cli: CommandLine, text: string): PortName {
  const name = portName(text);
  if (name === null || !cli.model.port(name)) throw new Os9Refusal(`No such interface ${text.trim()}.`);
  return name;
}

function knownPorts(cli: CommandLine, text: string): PortName[] {
  return portList(text)!.map((port) => knownPort(cli, port));
}

const lagName = (number: string): PortName => `Port-channel ${Number(number)}`;

// ---- any mode before configuration ----

const terminalWidth = act('terminal width <number>', () => undefined);

const terminal: Command[] = [
  act('terminal length <number>', (cli, [n]) => (cli.terminalLength = Number(n))),
  terminalWidth,
  act('terminal monitor', (cli) => (cli.monitor = true)),
  act('terminal no monitor', (cli) => (cli.monitor = false)),
];

const show: Command[] = [
  tell('show version', ({ model }) => showVersion(model)),
  tell('show vlan', ({ model }) => showVlan(model)),
  tell('show vlan brief', ({ model }) => showVlanBrief(model)),
  tell('show vlan id <vlan>', ({ model }, [id]) => {
    if (!model.vlan(Number(id))) throw new Os9Refusal(`Vlan ${Number(id)} does not exist.`);
    return showVlan(model, [Number(id)]);
  }),
  tell('show interfaces switchport', ({ model }) =>
    showSwitchport(
      model,
      model.portNames.filter((port) => model.port(port)!.switchport),
    ),
  ),
  tell('show interfaces switchport <port>', (cli, [text]) => {
    const port = knownPort(cli, text!);
    const { switchport } = cli.model.port(port)!;
    if (!switchport && cli.model.knobs.switchportOfOthers === 'error')
      throw new Os9Refusal(`${shortPort(port)} is not in Layer-2 mode.`);
    return showSwitchport(cli.model, switchport ? [port] : []);
  }),
  tell('show interfaces status', ({ model }) => showInterfacesStatus(model, model.portNames)),
  tell('show interfaces description', ({ model }) => showInterfacesDescription(model)),
  tell('show interfaces', ({ model }) => model.portNames.flatMap((port) => showInterface(model, port))),
  tell('show interfaces <port>', (cli, [text]) => showInterface(cli.model, knownPort(cli, text!))),
  tell('show interfaces <port> status', (cli, [text]) =>
    showInterfacesStatus(cli.model, [knownPort(cli, text!)]),
  ),
  tell('show users', ({ model, line }) => [
    '      Line                User          Host(s)      Location',
    ...model.lines.busy.map(
      (other) =>
        (other === line ? '*  ' : '   ') +
        other.name.replace(/(\d)/, ' $1').padEnd(20) +
        other.user.padEnd(14) +
        `idle         ${other.from ?? ''}`,
    ),
  ]),
  tell('show configuration lock', ({ model }) => {
    const { holder } = model.lines;
    return [
      holder
        ? `User "${holder.user}" on line ${holder.line} holds the configuration lock.`
        : 'Configuration is not locked.',
    ];
  }),
];

const showConfigurations: Command[] = [
  tell('show running-config', ({ model }) => showConfiguration(model, model.running)),
  tell('show startup-config', ({ model }) => showConfiguration(model, model.startup)),
  tell('show running-config interface', ({ model }) => [
    ...model.portNames.flatMap((name) => [
      '!',
      ...(name.startsWith('Port-channel ')
        ? lagConfiguration(model, model.running, name)
        : portConfiguration(model.running, name)),
    ]),
    ...model.vlanIds.flatMap((id) => ['!', ...vlanConfiguration(model, model.running, id)]),
  ]),
  tell('show running-config interface vlan <vlan>', ({ model }, [id]) => {
    if (!model.vlan(Number(id))) throw new Os9Refusal(`Vlan ${Number(id)} does not exist.`);
    return ['!', ...vlanConfiguration(model, model.running, Number(id))];
  }),
  tell('show running-config interface port-channel <number>', (cli, [n]) => [
    '!',
    ...lagConfiguration(cli.model, cli.model.running, knownPort(cli, lagName(n!))),
  ]),
  tell('show running-config interface <port>', (cli, [text]) => [
    '!',
    ...portConfiguration(cli.model.running, knownPort(cli, text!)),
  ]),
];

const exec: Command[] = [
  ...terminal,
  ...show,
  tell('enable', (cli) => {
    const secret = cli.model.running.enableSecret;
    const enter = (): Reply => {
      cli.mode = { kind: 'privileged' };
      return say([]);
    };
    if (secret === null) return enter();
    return {
      ...say([]),
      ask: {
        text: 'Password: ',
        echo: false,
        answer: (typed) => (typed === secret ? enter() : { lines: ['% Bad secret'], refused: true }),
      },
    };
  }),
  tell('exit', logout),
  tell('quit', logout),
  tell('logout', logout),
];

// ---- privileged mode ----

const yes = (typed: string): boolean => /^y(es)?$/i.test(typed.trim());

function save(cli: CommandLine): readonly string[] {
  cli.model.save(cli.line.user);
  return ['!'];
}

function copied(): Reply {
  return say(['!', '12288 bytes successfully copied']);
}

function configure(exclusive: boolean): Edit {
  return (cli) => {
    cli.model.lines.enterConfiguration(cli.line, exclusive || cli.model.running.exclusiveAuto);
    cli.mode = { kind: 'config' };
  };
}

const privileged: Command[] = [
  ...terminal,
  ...show,
  ...showConfigurations,
  tell('enable', () => []),
  act('disable', (cli) => (cli.mode = { kind: 'exec' })),
  act('configure', configure(false)),
  act('configure terminal', configure(false)),
  act('configure terminal lock', configure(true)),
  { pattern: 'write', run: save, meaning: 'write memory' },
  tell('write memory', save),
  tell('write terminal', ({ model }) => showConfiguration(model, model.running)),
  tell('copy running-config startup-config', (cli) => ({
    ...say(['File with same name already exist.']),
    ask: {
      text: 'Proceed to copy the file [confirm yes/no]: ',
      echo: true,
      answer: (typed) => {
        if (!yes(typed)) return say([]);
        cli.model.save(cli.line.user);
        return copied();
      },
    },
  })),
  tell('copy running-config <word>', copied),
  act('copy <word> <word>', () => {
    throw new Os9Refusal('The source file does not exist.');
  }),
  tell('reload', (cli) => {
    const proceed = (): Reply => ({
      ...say([]),
      ask: {
        text: 'Proceed with reload [confirm yes/no]: ',
        echo: true,
        answer: (typed) => (yes(typed) ? { ...say([]), end: 'reload' } : say([])),
      },
    });
    if (cli.model.saved) return proceed();
    return {
      ...say([]),
      ask: {
        text: 'System configuration has been modified. Save? [yes/no]: ',
        echo: true,
        answer: (typed) => {
          if (yes(typed)) cli.model.save(cli.line.user);
          return proceed();
        },
      },
    };
  }),
  act('clear line vty <number>', (cli, [n]) => cli.model.lines.at(Number(n))?.close()),
  tell('exit', logout),
  tell('quit', logout),
  tell('logout', logout),
];

// ---- configuration mode ----

function enterPorts(cli: CommandLine, ports: readonly PortName[], range: boolean): void {
  cli.mode = { kind: 'port', ports, range };
}

function enterVlans(cli: CommandLine, ids: readonly number[], range: boolean): void {
  for (const id of ids) cli.model.ensureVlan(id, cli.line.user);
  cli.mode = { kind: 'vlan', ids, range };
}

const config: Command[] = [
  act('interface vlan <vlan>', (cli, [id]) => enterVlans(cli, [Number(id)], false)),
  act('interface port-channel <number>', (cli, [n]) => {
    cli.model.ensureLag(lagName(n!), cli.line.user);
    enterPorts(cli, [lagName(n!)], false);
  }),
  act('interface range vlan <vlans>', (cli, [ids]) => enterVlans(cli, vlanList(ids!)!, true)),
  act('interface range <ports>', (cli, [text]) => enterPorts(cli, knownPorts(cli, text!), true)),
  act('interface <port>', (cli, [text]) => enterPorts(cli, [knownPort(cli, text!)], false)),
  act('no interface vlan <vlan>', ({ model, line }, [id]) => model.deleteVlan(Number(id), line.user)),
  act('no interface port-channel <number>', (cli, [n]) =>
    cli.model.deleteLag(knownPort(cli, lagName(n!)), cli.line.user),
  ),
  act('default vlan-id <vlan>', ({ model, line }, [id]) => model.setDefaultVlan(Number(id), line.user)),
  act('no default vlan-id', ({ model, line }) => model.setDefaultVlan(1, line.user)),
  act('default-vlan disable', ({ model, line }) => model.setDefaultVlan(null, line.user)),
  act('no default-vlan disable', ({ model, line }) => model.setDefaultVlan(1, line.user)),
  act('hostname <word>', ({ model, line }, [name]) =>
    model.edit(line.user, (running) => (running.hostname = name!)),
  ),
  act('username <word> password <word>', ({ model, line }, [name, password]) =>
    model.edit(line.user, ({ users }) => users.set(name!, { password: password!, privilege: 1 })),
  ),
  act('username <word> password <word> privilege <number>', ({ model, line }, [name, password, level]) =>
    model.edit(line.user, ({ users }) => users.set(name!, { password: password!, privilege: Number(level) })),
  ),
  act('no username <word>', ({ model, line }, [name]) =>
    model.edit(line.user, ({ users }) => users.delete(name!)),
  ),
  act('enable password <line>', ({ model, line }, [text]) =>
    model.edit(line.user, (running) => (running.enableSecret = text!)),
  ),
  act('enable secret <line>', ({ model, line }, [text]) =>
    model.edit(line.user, (running) => (running.enableSecret = text!)),
  ),
  act('no enable password', ({ model, line }) =>
    model.edit(line.user, (running) => (running.enableSecret = null)),
  ),
  act('configuration mode exclusive auto', ({ model, line }) =>
    model.edit(line.user, (running) => (running.exclusiveAuto = true)),
  ),
  act('no configuration mode exclusive', ({ model, line }) =>
    model.edit(line.user, (running) => (running.exclusiveAuto = false)),
  ),
  act('logging monitor', ({ model, line }) =>
    model.edit(line.user, (running) => (running.loggingMonitor = true)),
  ),
  act('no logging monitor', ({ model, line }) =>
    model.edit(line.user, (running) => (running.loggingMonitor = false)),
  ),
  tell('do <line>', (cli, [text]) => {
    const indent = cli.prompt.length + 'do '.length;
    return cli.run(text!, { kind: 'privileged' }, indent);
  }),
  act('end', (cli) => cli.leaveConfiguration()),
];

const leaveConfig = act('exit', (cli) => {
  cli.model.lines.leaveConfiguration(cli.line);
  cli.mode = { kind: 'privileged' };
});
const toConfig = act('exit', (cli) => (cli.mode = { kind: 'config' }));

// ---- VLAN interfaces ----

function vlanIds(cli: CommandLine): readonly number[] {
  return cli.mode.kind === 'vlan' ? cli.mode.ids : [];
}

/** Applies one edit to every port of the list in every VLAN of the mode. */
function membership(edit: (cli: CommandLine, id: number, port: PortName) => void): Edit {
  return (cli, [text]) => {
    const ports = portList(text!)!;
    if (ports.length > 1 && !cli.model.knobs.listsTaken) throw new Os9Refusal('Invalid input at "^" marker.');
    const work = (): void => {
      for (const id of vlanIds(cli)) for (const port of ports) edit(cli, id, knownPort(cli, port));
    };
    if (cli.model.knobs.refusedList === 'atomic') cli.model.atomically(work);
    else work();
  };
}

function eachVlan(edit: (cli: CommandLine, id: number, value: string) => void): Edit {
  return (cli, [value = '']) => vlanIds(cli).forEach((id) => edit(cli, id, value));
}

/** Lines that are kept and shown but mean nothing to the model: `mtu`, spanning tree, flow control. */
const remembered = ['mtu', 'spanning-tree', 'flowcontrol'];

function withLine(extra: readonly string[], line: string): string[] {
  const word = line.split(' ')[0]!;
  return [...extra.filter((other) => other !== line && !(word === 'mtu' && other.startsWith('mtu '))), line];
}

function withoutLine(extra: readonly string[], line: string): string[] {
  return extra.filter((other) => other !== line && !other.startsWith(`${line} `));
}

const vlan: Command[] = [
  act(
    'untagged <ports>',
    membership(({ model, line }, id, port) => model.addUntagged(id, port, line.user)),
  ),
  act(
    'no untagged <ports>',
    membership(({ model, line }, id, port) => model.removeUntagged(id, port, line.user)),
  ),
  act(
    'tagged <ports>',
    membership(({ model, line }, id, port) => model.addTagged(id, port, line.user)),
  ),
  act(
    'no tagged <ports>',
    membership(({ model, line }, id, port) => model.removeTagged(id, port, line.user)),
  ),
  act(
    'description <line>',
    eachVlan(({ model, line }, id, description) => model.setVlan(id, { description }, line.user)),
  ),
  act(
    'no description',
    eachVlan(({ model, line }, id) => model.setVlan(id, { description: '' }, line.user)),
  ),
  act(
    'name <word>',
    eachVlan(({ model, line }, id, name) => model.setVlanName(id, name, line.user)),
  ),
  act(
    'no name',
    eachVlan(({ model, line }, id) => model.setVlanName(id, '', line.user)),
  ),
  act(
    'shutdown',
    eachVlan(({ model, line }, id) => model.setVlan(id, { shutdown: true }, line.user)),
  ),
  act(
    'no shutdown',
    eachVlan(({ model, line }, id) => model.setVlan(id, { shutdown: false }, line.user)),
  ),
  act(
    'ip address <word>',
    eachVlan(({ model, line }, id, ip) => model.setVlanIp(id, ip, line.user)),
  ),
  act(
    'no ip address',
    eachVlan(({ model, line }, id) => model.setVlanIp(id, null, line.user)),
  ),
  ...remembered.flatMap((word) => [
    act(
      `${word} <line>`,
      eachVlan(({ model, line }, id, rest) =>
        model.setVlan(id, { extra: withLine(model.vlan(id)!.extra, `${word} ${rest}`) }, line.user),
      ),
    ),
    act(
      `no ${word}`,
      eachVlan(({ model, line }, id) =>
        model.setVlan(id, { extra: withoutLine(model.vlan(id)!.extra, word) }, line.user),
      ),
    ),
  ]),
  tell('show config', (cli) =>
    vlanIds(cli).flatMap((id) => ['!', ...vlanConfiguration(cli.model, cli.model.running, id)]),
  ),
  ...config,
  toConfig,
];

// ---- ports ----

function modePorts(cli: CommandLine): readonly PortName[] {
  if (cli.mode.kind === 'lacp') return [cli.mode.port];
  return cli.mode.kind === 'port' ? cli.mode.ports : [];
}

function eachPort(edit: (cli: CommandLine, port: PortName, value: string) => void): Edit {
  return (cli, [value = '']) => modePorts(cli).forEach((port) => edit(cli, port, value));
}

function members(lagOf: (lag: PortName) => PortName | null): Edit {
  return (cli, [text]) => {
    const lag = modePorts(cli)[0]!;
    if (!lag.startsWith('Port-channel ')) throw new Os9Refusal('Invalid input at "^" marker.');
    for (const port of knownPorts(cli, text!))
      cli.model.setLag(port, lagOf(lag), 'channel-member', cli.line.user);
  };
}

const port: Command[] = [
  act(
    'portmode hybrid',
    eachPort(({ model, line }, name) => model.setHybrid(name, true, line.user)),
  ),
  act(
    'no portmode hybrid',
    eachPort(({ model, line }, name) => model.setHybrid(name, false, line.user)),
  ),
  act(
    'no portmode',
    eachPort(({ model, line }, name) => model.setHybrid(name, false, line.user)),
  ),
  act(
    'switchport',
    eachPort(({ model, line }, name) => model.setSwitchport(name, true, line.user)),
  ),
  act(
    'no switchport',
    eachPort(({ model, line }, name) => model.setSwitchport(name, false, line.user)),
  ),
  act(
    'shutdown',
    eachPort(({ model, line }, name) => model.setPort(name, { shutdown: true }, line.user)),
  ),
  act(
    'no shutdown',
    eachPort(({ model, line }, name) => model.setPort(name, { shutdown: false }, line.user)),
  ),
  act(
    'description <line>',
    eachPort(({ model, line }, name, description) => model.setPort(name, { description }, line.user)),
  ),
  act(
    'no description',
    eachPort(({ model, line }, name) => model.setPort(name, { description: '' }, line.user)),
  ),
  act(
    'ip address <word>',
    eachPort(({ model, line }, name, ip) => model.setPortIp(name, ip, line.user)),
  ),
  act(
    'no ip address',
    eachPort(({ model, line }, name) => model.setPortIp(name, null, line.user)),
  ),
  ...remembered.flatMap((word) => [
    act(
      `${word} <line>`,
      eachPort(({ model, line }, name, rest) =>
        model.setPort(name, { extra: withLine(model.port(name)!.extra, `${word} ${rest}`) }, line.user),
      ),
    ),
    act(
      `no ${word} <line>`,
      eachPort(({ model, line }, name, rest) =>
        model.setPort(name, { extra: withoutLine(model.port(name)!.extra, `${word} ${rest}`) }, line.user),
      ),
    ),
    act(
      `no ${word}`,
      eachPort(({ model, line }, name) =>
        model.setPort(name, { extra: withoutLine(model.port(name)!.extra, word) }, line.user),
      ),
    ),
  ]),
  act(
    'channel-member <ports>',
    members((lag) => lag),
  ),
  act(
    'no channel-member <ports>',
    members(() => null),
  ),
  act('port-channel-protocol lacp', (cli) => {
    cli.mode = { kind: 'lacp', port: modePorts(cli)[0]! };
  }),
  act(
    'no port-channel-protocol lacp',
    eachPort(({ model, line }, name) => model.setLag(name, null, 'lacp', line.user)),
  ),
  tell('show config', (cli) =>
    modePorts(cli).flatMap((name) => [
      '!',
      ...(name.startsWith('Port-channel ')
        ? lagConfiguration(cli.model, cli.model.running, name)
        : portConfiguration(cli.model.running, name)),
    ]),
  ),
  ...config,
  toConfig,
];

const lacp: Command[] = [
  act(
    'port-channel <number> mode active',
    eachPort(({ model, line }, name, n) => model.setLag(name, lagName(n), 'lacp', line.user)),
  ),
  act(
    'no port-channel <number>',
    eachPort(({ model, line }, name) => model.setLag(name, null, 'lacp', line.user)),
  ),
  ...config,
  act('exit', (cli) => enterPorts(cli, modePorts(cli), false)),
];

const byMode: Readonly<Record<Mode['kind'], readonly Command[]>> = {
  exec,
  privileged,
  config: [...config, leaveConfig],
  vlan,
  port,
  lacp,
};
