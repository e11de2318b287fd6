import { DeviceError, parseVlanId, type PortId, type VlanId } from '../../../../plugin-api/index.ts';
import { isLogLine } from './prompt.ts';
import { parsePortRanges, portsOf, rangeHas, type PortRange } from './port-ranges.ts';

export interface VlanRow {
  readonly id: VlanId;
  readonly description: string;
  readonly untagged: readonly PortRange[];
  readonly tagged: readonly PortRange[];
}

/** What `show vlan` tells. */
export interface VlanTable {
  readonly defaultVlan: VlanId | null;
  readonly vlans: ReadonlyMap<VlanId, VlanRow>;
  /** Members of link aggregation groups, as the brackets of `Po1(Te 1/47-1/48)` name them: range to group. */
  readonly lagMembers: readonly LagMember[];
}

/** Q column: lower case and U are untagged kinds (802.1X, internal, VLT), the others tagged kinds. */
const untaggedKinds = 'Uxoiv';
const kinds = `${untaggedKinds}TXOGMHIV`;

/** `Te 1/1,1/3`, `Po1(Te 1/47-1/48)`, `Po 1-5`: a type, numbers, and for a group its members in brackets. */
const portItem = /([A-Za-z-]+)\s?(\d[\d/,\s-]*)(?:\(([^()]*)\))?[\s,]*/y;
const rowStart = /^(.{4})(\d{1,4})\s+([A-Za-z]+)(?:\s|$)/;

interface LagMember {
  readonly range: PortRange;
  readonly lag: PortId;
}

interface Membership {
  readonly ranges: readonly PortRange[];
  readonly lagMembers: readonly LagMember[];
}

/** Ports of one kind as printed, with the line they began on. */
interface PortList {
  readonly kind: string;
  text: string;
  readonly line: string;
}

/**
 * Reads the answer to `show vlan`. The columns are fixed, and their places are taken from the header line. A row that cannot
 * be understood is an error: a membership overlooked here would leave a port in a tenant's VLAN.
 * @throws DeviceError `switch.protocol`
 */
export function parseShowVlan(lines: readonly string[]): VlanTable {
  const header = lines.findIndex((line) => /^\s+NUM\s+Status\s+Description\s+Q\s+Ports/.test(line));
  if (header < 0) throw strange('there is no "NUM Status Description Q Ports" line', lines[0] ?? '');
  const descriptionAt = lines[header]!.indexOf('Description');
  const kindAt = lines[header]!.indexOf('Q ', descriptionAt);

  let defaultVlan: VlanId | null = null;
  const rows: { id: VlanId; description: string; lists: PortList[] }[] = [];
  for (const line of lines.slice(header + 1)) {
    if (line.trim() === '' || isLogLine(line)) continue;
    const start = rowStart.exec(line);
    if (start) {
      const id = parseVlanId(start[2]!);
      if (start[1]!.includes('*')) defaultVlan = id;
      const { description, ports } = splitRow(line, descriptionAt, kindAt);
      rows.push({ id, description, lists: ports ? [ports] : [] });
    } else {
      addContinuation(line, kindAt, rows.at(-1)?.lists);
    }
  }

  const lagMembers: LagMember[] = [];
  const vlans = rows.map(({ id, description, lists }): [VlanId, VlanRow] => {
    const parsed = lists.map((list) => ({ kind: list.kind, ...membersIn(list) }));
    lagMembers.push(...parsed.flatMap((list) => list.lagMembers));
    const ranges = (untagged: boolean): PortRange[] =>
      parsed.filter((list) => untaggedKinds.includes(list.kind) === untagged).flatMap((list) => list.ranges);
    return [id, { id, description, untagged: ranges(true), tagged: ranges(false) }];
  });
  return { defaultVlan, vlans: new Map(vlans), lagMembers };
}

/** The untagged VLANs of a port: more than one only if the switch contradicts itself. */
export function untaggedVlansOf(table: VlanTable, port: PortId): VlanId[] {
  return vlansWith(table, (row) => row.untagged.some((range) => rangeHas(range, port)));
}

/** The tagged VLANs of a port, ascending. */
export function taggedVlansOf(table: VlanTable, port: PortId): VlanId[] {
  return vlansWith(table, (row) => row.tagged.some((range) => rangeHas(range, port)));
}

/** The group that a port belongs to, or null. */
export function lagOf(table: VlanTable, port: PortId): PortId | null {
  return table.lagMembers.find(({ range }) => rangeHas(range, port))?.lag ?? null;
}

export function membersOf(row: VlanRow): PortId[] {
  return [...new Set([...row.untagged, ...row.tagged].flatMap(portsOf))];
}

function vlansWith(table: VlanTable, test: (row: VlanRow) => boolean): VlanId[] {
  return [...table.vlans.values()]
    .filter(test)
    .map((row) => row.id)
    .sort((a, b) => a - b);
}

/**
 * Takes a row apart at the Q column. A description that is longer than its column pushes Q and ports to the right; then they
 * are looked for at the end of the line.
 */
function splitRow(
  line: string,
  descriptionAt: number,
  kindAt: number,
): { description: string; ports: PortList | null } {
  const kind = line[kindAt] ?? ' ';
  const text = line.slice(kindAt + 2);
  if (line.slice(kindAt).trim() === '') return { description: line.slice(descriptionAt).trim(), ports: null };
  if (kinds.includes(kind) && line[kindAt + 1] === ' ' && parseMembers(text))
    return { description: line.slice(descriptionAt, kindAt).trim(), ports: { kind, text, line } };

  if (line[kindAt - 1] === ' ') throw strange('the ports of a VLAN cannot be read', line);
  // The description is anybody's text and may itself look like ports: the switch's own stand last.
  const starts = new RegExp(`\\s(?=[${kinds}]\\s+[A-Z][A-Za-z]\\s?\\d)`, 'g');
  for (const { index } of [...line.matchAll(starts)].reverse()) {
    const ports = { kind: line[index + 1]!, text: line.slice(index + 2).trim(), line };
    if (parseMembers(ports.text)) return { description: line.slice(descriptionAt, index).trim(), ports };
  }
  return { description: line.slice(descriptionAt).trim(), ports: null };
}

/** A line that carries on the row above: a list of another kind or type, or the rest of a list that was too long. */
function addContinuation(line: string, kindAt: number, lists: PortList[] | undefined): void {
  if (line.slice(0, kindAt).trim() !== '')
    throw strange('a line is neither a VLAN nor its continuation', line);
  if (!lists) throw strange('a continuation comes before any VLAN', line);
  const kind = line[kindAt] ?? ' ';
  const text = line.slice(kindAt + 1).trim();
  const last = lists.at(-1);
  if (kind !== ' ' && !kinds.includes(kind)) throw strange('ports of an unknown kind', line);
  // Old firmware lets the unit stick, and the type too, beyond the end of a line.
  if (last && /^\d/.test(text) && (kind === ' ' || kind === last.kind)) {
    last.text = `${last.text.trimEnd().replace(/,$/, '')},${text}`;
    return;
  }
  const shown = kind === ' ' ? last?.kind : kind;
  if (shown === undefined) throw strange('ports without U or T', line);
  lists.push({ kind: shown, text, line });
}

function membersIn(list: PortList): Membership {
  const members = parseMembers(list.text);
  if (!members) throw strange('the ports of a VLAN cannot be read', list.line);
  return members;
}

/** Null when the text is anything but a list of ports. */
function parseMembers(text: string): Membership | null {
  const ranges: PortRange[] = [];
  const lagMembers: LagMember[] = [];
  const list = text.trim();
  // Its own copy: the members of a group are parsed while the list goes on.
  const item = new RegExp(portItem);
  try {
    while (item.lastIndex < list.length) {
      const [, type, numbers, members] = item.exec(list) ?? [];
      if (type === undefined || numbers === undefined) return null;
      const found = parsePortRanges(type, numbers.trim().replace(/,$/, ''));
      ranges.push(...found);
      const inside = members === undefined ? null : parseMembers(members);
      lagMembers.push(...(inside?.ranges ?? []).map((range) => ({ range, lag: found[0]!.first })));
    }
  } catch {
    return null;
  }
  return ranges.length > 0 ? { ranges, lagMembers } : null;
}

function strange(why: string, line: string): DeviceError {
  return new DeviceError({
    code: 'switch.protocol',
    what: `the answer to "show vlan" cannot be read: ${why}`,
    said: line.trim(),
  });
}
