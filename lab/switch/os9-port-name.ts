/** A port by the long name that OS9 prints: `TenGigabitEthernet 1/1`, `fortyGigE 0/48`, `Port-channel 1`. */
export type PortName = string;

/** How ports are listed: `0/1-10,20` (the unit sticks, firmware before 9.8 or so), or `1/1-1/10,1/20` (newer). */
export type RangeGrammar = 'old' | 'new';

/** Long name, and the short one of `show vlan`. Slower types come first, as the switch lists them. */
const types: readonly (readonly [long: string, short: string])[] = [
  ['Port-channel', 'Po'],
  ['GigabitEthernet', 'Gi'],
  ['TenGigabitEthernet', 'Te'],
  ['twentyFiveGigE', 'Tf'],
  ['fortyGigE', 'Fo'],
  ['fiftyGigE', 'Fi'],
  ['hundredGigE', 'Hu'],
];

/** The long type name for any unambiguous beginning of it, in any case; null when there is none. */
function typeName(text: string): string | null {
  const wanted = text.toLowerCase();
  const byShort = types.find(([, short]) => short.toLowerCase() === wanted);
  if (byShort) return byShort[0];
  const byPrefix = types.filter(([long]) => long.toLowerCase().startsWith(wanted));
  return byPrefix.length === 1 ? byPrefix[0]![0] : null;
}

/** Reads one port name as the CLI does (`Te 1/1`, `te1/1`, `TENGIGABITETHERNET 1/1`); null when it is none. */
export function portName(text: string): PortName | null {
  const list = portList(text);
  return list?.length === 1 ? list[0]! : null;
}

/**
 * Reads a list of ports: items between commas, each a port or a range, the type and the unit carried on from the item
 * before. Both range grammars are read (`te 0/1-4,6` and `te 1/1-1/4,1/6`). Null when the text is no such list.
 */
export function portList(text: string): PortName[] | null {
  const ports: PortName[] = [];
  let type: string | null = null;
  let prefix: readonly number[] = [];
  for (const item of text.trim().split(/\s*,\s*/)) {
    const match = /^([a-z][a-z-]*?)?\s*(\d+(?:\/\d+){0,2})(?:\s*-\s*(\d+(?:\/\d+){0,2}))?$/i.exec(item);
    if (!match) return null;
    if (match[1] !== undefined) {
      type = typeName(match[1]);
      prefix = [];
    }
    if (type === null) return null;
    const first = withPrefix(match[2]!, prefix);
    if ((type === 'Port-channel') !== (first.length === 1)) return null;
    prefix = first.slice(0, -1);
    const last = match[3] === undefined ? first : withPrefix(match[3], prefix);
    if (last.length !== first.length || last.slice(0, -1).join('/') !== prefix.join('/')) return null;
    const from = first.at(-1)!;
    const to = last.at(-1)!;
    if (to < from || to - from > 512) return null;
    for (let n = from; n <= to; n++) ports.push(`${type} ${[...prefix, n].join('/')}`);
  }
  return ports;
}

function withPrefix(text: string, prefix: readonly number[]): number[] {
  const parts = text.split('/').map(Number);
  return parts.length === 1 ? [...prefix, ...parts] : parts;
}

function split(port: PortName): { type: string; rank: number; parts: number[] } {
  const [type = '', id = ''] = port.split(' ');
  return { type, rank: types.findIndex(([long]) => long === type), parts: id.split('/').map(Number) };
}

/** Orders ports by type, then by number. */
export function comparePorts(a: PortName, b: PortName): number {
  const x = split(a);
  const y = split(b);
  if (x.rank !== y.rank) return x.rank - y.rank;
  for (let i = 0; i < Math.max(x.parts.length, y.parts.length); i++) {
    const difference = (x.parts[i] ?? -1) - (y.parts[i] ?? -1);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** `Te 1/1`, `Po 1`. */
export function shortPort(port: PortName): string {
  const { rank, parts } = split(port);
  return `${types[rank]?.[1] ?? '??'} ${parts.join('/')}`;
}

/** `te-1/1`, as in the prompt. */
export function promptPort(port: PortName): string {
  return shortPort(port).toLowerCase().replace(' ', '-');
}

/** The ports of one type written as one list: `{ type: 'TenGigabitEthernet', short: 'Te', ids: '1/1-1/4,1/9' }`. */
export interface PortGroup {
  readonly type: string;
  readonly short: string;
  readonly ids: string;
}

/** Groups ports by type, with ranges written in the grammar of the firmware. */
export function groupPorts(ports: Iterable<PortName>, grammar: RangeGrammar): PortGroup[] {
  const byType = new Map<string, number[][]>();
  for (const port of [...ports].sort(comparePorts)) {
    const { type, parts } = split(port);
    byType.set(type, [...(byType.get(type) ?? []), parts]);
  }
  return [...byType].map(([type, list]) => ({
    type,
    short: types.find(([long]) => long === type)![1],
    ids: writeRanges(list, grammar),
  }));
}

function writeRanges(list: readonly (readonly number[])[], grammar: RangeGrammar): string {
  const runs: { prefix: string; from: number; to: number }[] = [];
  for (const parts of list) {
    const prefix = parts
      .slice(0, -1)
      .map((part) => `${part}/`)
      .join('');
    const n = parts.at(-1)!;
    const run = runs.at(-1);
    if (run?.prefix === prefix && run.to === n - 1) run.to = n;
    else runs.push({ prefix, from: n, to: n });
  }
  let stuck: string | null = null;
  const words: string[] = [];
  for (const { prefix, from, to } of runs) {
    if (grammar === 'old') {
      const shown = prefix === stuck ? '' : prefix;
      stuck = prefix;
      words.push(from === to ? `${shown}${from}` : `${shown}${from}-${to}`);
    } else if (to - from === 1) {
      words.push(`${prefix}${from}`, `${prefix}${to}`);
    } else {
      words.push(from === to ? `${prefix}${from}` : `${prefix}${from}-${prefix}${to}`);
    }
  }
  return words.join(',');
}

/** `200-202,300` from ascending VLAN ids. */
export function writeVlans(ids: readonly number[]): string {
  return writeRanges(
    ids.map((id) => [id]),
    'old',
  );
}

/** Reads `10,20-22`; null when it is no list of VLAN ids from 1 to 4094. */
export function vlanList(text: string): number[] | null {
  const ids: number[] = [];
  for (const item of text.trim().split(/\s*,\s*/)) {
    const match = /^(\d{1,4})(?:\s*-\s*(\d{1,4}))?$/.exec(item);
    if (!match) return null;
    const from = Number(match[1]);
    const to = Number(match[2] ?? match[1]);
    if (from < 1 || to > 4094 || to < from) return null;
    for (let id = from; id <= to; id++) ids.push(id);
  }
  return ids;
}
