import type { Os9Config } from './os9-config.ts';
import type { Os9Model } from './os9-model.ts';
import type { PortName } from './os9-port-name.ts';
import { comparePorts, groupPorts, shortPort, writeVlans } from './os9-port-name.ts';

/**
 * The texts of the `show` commands, shaped after recordings of real switches (ntc-templates, tests/dell_force10;
 * dell-force10, spec/fixtures). Each function gives lines without line ends.
 */

/** Columns of `show vlan`: NUM 4, Status 11, Description 21, Q 53, Ports 55. */
const descriptionWidth = 32;
const portsColumn = 55;
const lineWidth = 80;

const vlanLegend = [
  '',
  'Codes: * - Default VLAN, G - GVRP VLANs, R - Remote Port Mirroring VLANs, P - Primary, C - Community, I - Isolated',
  '       O - Openflow',
  'Q: U - Untagged, T - Tagged',
  '   x - Dot1x untagged, X - Dot1x tagged',
  '   o - OpenFlow untagged, O - OpenFlow tagged',
  '   G - GVRP tagged, M - Vlan-stack, H - VSN tagged',
  '   i - Internal untagged, I - Internal tagged, v - VLT untagged, V - VLT tagged',
  '',
  '    NUM    Status    Description                     Q Ports',
];

/** `show vlan`, of all VLANs or of some. */
export function showVlan(model: Os9Model, ids: readonly number[] = model.vlanIds): string[] {
  return [...vlanLegend, ...ids.flatMap((id) => vlanRows(model, id))];
}

function vlanRows(model: Os9Model, id: number): string[] {
  const vlan = model.vlan(id)!;
  const { untagged, tagged } = model.membersOf(id);
  const active = [...untagged, ...tagged].some((port) => model.linkUp(port));
  const head =
    (id === model.running.defaultVlan ? '*   ' : '    ') +
    String(id).padEnd(7) +
    (active ? 'Active' : 'Inactive').padEnd(10) +
    vlan.description.slice(0, descriptionWidth - 1).padEnd(descriptionWidth);
  const members = [
    ...portRows(model, tagged).map((row) => `T ${row}`),
    ...portRows(model, untagged).map((row) => `U ${row}`),
  ];
  if (model.knobs.memberOrder === 'untagged first')
    members.sort((a, b) => (a[0] === b[0] ? 0 : a[0] === 'U' ? -1 : 1));
  return [head + (members[0] ?? ''), ...members.slice(1).map((row) => ' '.repeat(portsColumn - 2) + row)];
}

/** One row per interface type, port-channels with their members in brackets, and long lists broken at commas. */
function portRows(model: Os9Model, ports: readonly PortName[]): string[] {
  const grammar = model.knobs.rangeGrammar;
  const lags = ports.filter((port) => port.startsWith('Port-channel '));
  const rows = lags.map((lag) => {
    const members = groupPorts(model.lagMembers(lag), grammar).map(({ short, ids }) => `${short} ${ids}`);
    return `${shortPort(lag).replace(' ', '')}${members.length > 0 ? `(${members.join(' ')})` : ''}`;
  });
  for (const { short, ids } of groupPorts(
    ports.filter((port) => !lags.includes(port)),
    grammar,
  ))
    rows.push(...wrapped(`${short} `, ids, model.knobs.portLists === 'wrapped'));
  return rows;
}

function wrapped(prefix: string, ids: string, wrap: boolean): string[] {
  if (!wrap) return [prefix + ids];
  const rows: string[] = [];
  let row = '';
  for (const id of ids.split(',')) {
    if (row !== '' && portsColumn + prefix.length + row.length + 1 + id.length > lineWidth) {
      rows.push(prefix + row);
      row = id;
    } else row = row === '' ? id : `${row},${id}`;
  }
  return [...rows, prefix + row];
}

/** `show vlan brief` */
export function showVlanBrief(model: Os9Model): string[] {
  return [
    'VLAN Name                             STG    MAC Aging  IP Address',
    '---- -------------------------------- ----   ---------  ------------------',
    ...model.vlanIds.map((id) => {
      const { name, ip } = model.vlan(id)!;
      return `${String(id).padEnd(5)}${name.padEnd(33)}0      1800       ${ip ?? 'unassigned'}`;
    }),
  ];
}

/** `show interfaces switchport`, of all ports in layer 2 mode or of some. */
export function showSwitchport(model: Os9Model, ports: readonly PortName[]): string[] {
  return [
    '',
    'Codes:  U - Untagged, T - Tagged',
    '        x - Dot1x untagged, X - Dot1x tagged',
    '        G - GVRP tagged, M - Trunk, H - VSN tagged',
    '        i - Internal untagged, I - Internal tagged, v - VLT untagged, V - VLT tagged',
    '',
    ...ports.flatMap((port) => switchportSection(model, port)),
  ];
}

function switchportSection(model: Os9Model, port: PortName): string[] {
  const { description, hybrid } = model.port(port)!;
  const native = model.nativeOf(port);
  const tagged = model.taggedOf(port);
  return [
    `Name: ${port}`,
    ...(description === '' ? [] : [`Description: ${description}`]),
    `802.1QTagged: ${hybrid ? 'Hybrid' : tagged.length > 0 ? 'True' : 'False'}`,
    'Vlan membership:',
    'Q       Vlans',
    ...(native === null ? [] : [`U       ${native}`]),
    ...(tagged.length === 0 ? [] : [`T       ${writeVlans(tagged)}`]),
    '',
    ...(native === null ? [] : [`Native VlanId:    ${native}.`]),
    '',
    '',
    '',
  ];
}

/** `show interfaces status` */
export function showInterfacesStatus(model: Os9Model, ports: readonly PortName[]): string[] {
  return [
    'Port                 Description     Status Speed        Duplex Vlan',
    ...ports.map((port) => {
      const up = model.linkUp(port);
      const vlans = [model.nativeOf(port), ...model.taggedOf(port)].filter((id) => id !== null);
      return (
        shortPort(port).padEnd(21) +
        model.port(port)!.description.slice(0, 15).padEnd(16) +
        (up ? 'Up' : 'Down').padEnd(7) +
        (up ? '10000 Mbit' : 'Auto').padEnd(13) +
        (up ? 'Full' : 'Auto').padEnd(7) +
        (vlans.length === 0 ? '--' : writeVlans([...new Set(vlans)].sort((a, b) => a - b)))
      );
    }),
  ];
}

/** `show interfaces description` */
export function showInterfacesDescription(model: Os9Model): string[] {
  return [
    'Interface               OK Status   Protocol Description',
    ...[...model.portNames].map((port) => {
      const { shutdown, description } = model.port(port)!;
      const up = model.linkUp(port);
      return (
        port.padEnd(24) +
        (up ? 'YES ' : 'NO  ') +
        (up ? 'up' : shutdown ? 'admin down' : 'down').padEnd(9) +
        (up ? 'up' : 'down').padEnd(9) +
        description
      ).trimEnd();
    }),
    ...model.vlanIds.map((id) =>
      `${`Vlan ${id}`.padEnd(24)}YES up       up       ${model.vlan(id)!.description}`.trimEnd(),
    ),
  ];
}

/** `show interfaces PORT`, the first lines of it, after a recording of a LAG member. */
export function showInterface(model: Os9Model, port: PortName): string[] {
  const { shutdown, description, hybrid, switchport, lag } = model.port(port)!;
  const up = model.linkUp(port);
  return [
    up
      ? `${port} is up, line protocol is up`
      : shutdown
        ? `${port} is administratively down, line protocol is down`
        : `${port} is down, line protocol is down(not connect)`,
    ...(lag === null ? [] : [`Port is part of ${lag}`]),
    ...(description === '' ? [] : [`Description: ${description}`]),
    'Hardware is DellEth, address is 02:00:00:00:00:01',
    'Internet address is not set',
    `Mode of IPv4 Address Assignment : NONE`,
    'MTU 1554 bytes, IP MTU 1500 bytes',
    ...(switchport ? [`Port is in ${hybrid ? 'hybrid' : 'switchport'} mode`] : []),
    '',
  ];
}

/** `show version`, after the recording of an S4820T. */
export function showVersion(model: Os9Model): string[] {
  const { firmware, systemType } = model.knobs;
  return [
    'Dell Real Time Operating System Software',
    'Dell Operating System Version:  2.0',
    `Dell Application Software Version:  ${firmware}`,
    'Copyright (c) 1999-2019 by Dell Inc. All Rights Reserved.',
    'Build Time: Tue Sep  8 03:51:15 2015',
    `${model.running.hostname} uptime is 1 week(s), 2 day(s), 9 hour(s), 5 minute(s)`,
    '',
    'System image file is "system://A"',
    '',
    `System Type: ${systemType}`,
    'Control Processor: Intel Rangeley with 3 Gbytes (3203911680 bytes) of memory, core(s) 2.',
    '',
    '16G bytes of boot flash memory.',
    '',
    `  1 ${model.portNames.length}-port TE/FG (SE)`,
  ];
}

/** `show running-config`, or `show startup-config`. */
export function showConfiguration(model: Os9Model, config: Readonly<Os9Config>): string[] {
  const stamp = (what: string, event: { at: number; by: string } | null): string[] =>
    event ? [`! ${what} at ${ctime(event.at)} by ${event.by}`] : [];
  const lags = [...config.ports.keys()].filter((port) => port.startsWith('Port-channel '));
  const physical = [...config.ports.keys()].filter((port) => !lags.includes(port)).sort(comparePorts);
  return [
    'Current Configuration ...',
    `! Version ${model.knobs.firmware}`,
    ...stamp('Last configuration change', model.lastChange),
    ...stamp('Startup-config last updated', model.lastSave),
    '!',
    ...(config.loggingMonitor ? [] : ['no logging monitor', '!']),
    `hostname ${config.hostname}`,
    '!',
    ...(config.enableSecret === null ? [] : ['enable password 7 0000000000000000', '!']),
    ...(config.exclusiveAuto ? ['configuration mode exclusive auto', '!'] : []),
    ...[...config.users].map(
      ([name, user]) => `username ${name} password 7 0000000000000000 privilege ${user.privilege}`,
    ),
    '!',
    ...(config.defaultVlan === null ? ['default-vlan disable', '!'] : []),
    ...(config.defaultVlan !== null && config.defaultVlan !== 1
      ? [`default vlan-id ${config.defaultVlan}`, '!']
      : []),
    ...physical.flatMap((port) => [...portConfiguration(config, port), '!']),
    'interface ManagementEthernet 1/1',
    ' no ip address',
    ' shutdown',
    '!',
    ...lags.sort(comparePorts).flatMap((port) => [...lagConfiguration(model, config, port), '!']),
    ...[...config.vlans.keys()]
      .sort((a, b) => a - b)
      .flatMap((id) => [...vlanConfiguration(model, config, id), '!']),
    'ip ssh server enable',
    '!',
    'line console 0',
    ...Array.from({ length: model.lines.free + model.lines.busy.length }, (_, i) => `line vty ${i}`),
    '!',
    'reload-type normal-reload',
    '!',
    'end',
  ];
}

/** `show running-config interface PORT`, without the `!` before it. */
export function portConfiguration(config: Readonly<Os9Config>, port: PortName): string[] {
  const values = config.ports.get(port)!;
  return [
    `interface ${port}`,
    ...(values.description === '' ? [] : [` description ${values.description}`]),
    values.ip === null ? ' no ip address' : ` ip address ${values.ip}`,
    ...(values.hybrid ? [' portmode hybrid'] : []),
    ...(values.switchport ? [' switchport'] : []),
    ...values.extra.map((line) => ` ${line}`),
    ...(values.lag !== null && values.lagBy === 'lacp'
      ? ['!', ' port-channel-protocol LACP', `  ${values.lag.toLowerCase()} mode active`]
      : []),
    values.shutdown ? ' shutdown' : ' no shutdown',
  ];
}

/** `show running-config interface port-channel N` */
export function lagConfiguration(model: Os9Model, config: Readonly<Os9Config>, port: PortName): string[] {
  const lines = portConfiguration(config, port);
  const members = [...config.ports].filter(([, p]) => p.lag === port && p.lagBy === 'channel-member');
  const groups = groupPorts(
    members.map(([name]) => name),
    model.knobs.rangeGrammar,
  );
  return [
    ...lines.slice(0, -1),
    ...groups.map(({ type, ids }) => ` channel-member ${type} ${ids}`),
    lines.at(-1)!,
  ];
}

/** `show running-config interface vlan N`; members of the default VLAN are commented out, because they are implicit. */
export function vlanConfiguration(model: Os9Model, config: Readonly<Os9Config>, id: number): string[] {
  const vlan = config.vlans.get(id)!;
  const grammar = model.knobs.rangeGrammar;
  const implicit = config === model.running && id === config.defaultVlan ? model.membersOf(id).untagged : [];
  const list = (word: string, ports: Iterable<PortName>): string[] =>
    groupPorts(ports, grammar).map(({ type, ids }) => `${word} ${type} ${ids}`);
  return [
    `interface Vlan ${id}`,
    ...(vlan.description === '' ? [] : [` description ${vlan.description}`]),
    ...(vlan.name === '' ? [] : [` name ${vlan.name}`]),
    vlan.ip === null ? ' no ip address' : ` ip address ${vlan.ip}`,
    ...vlan.extra.map((line) => ` ${line}`),
    ...list(' tagged', vlan.tagged),
    ...list(' untagged', vlan.untagged),
    ...list('!untagged', implicit),
    vlan.shutdown ? ' shutdown' : ' no shutdown',
  ];
}

/** `Mon Mar 30 20:20:41 2015` */
function ctime(at: number): string {
  const [day, date, month, year, time] = new Date(at).toUTCString().replace(',', '').split(' ');
  return `${day} ${month} ${String(Number(date)).padStart(2)} ${time} ${year}`;
}
