import type { RackConfig, RackServer, RackSwitch, Wire } from './rack-config.ts';

/** What an upload would change. Switches are the same when their names are, wires when their MACs are. */
export interface RackDifference {
  readonly wires: {
    readonly added: readonly Wire[];
    readonly dropped: readonly Wire[];
    /** The MAC is at another port or switch. */
    readonly moved: readonly { readonly before: Wire; readonly after: Wire }[];
  };
  readonly switches: {
    readonly added: readonly RackSwitch[];
    readonly dropped: readonly RackSwitch[];
    /** `keys` are those of {@link RackSwitch} that differ; a secret differs when its reference does. */
    readonly changed: readonly {
      readonly before: RackSwitch;
      readonly after: RackSwitch;
      readonly keys: readonly SwitchKey[];
    }[];
  };
  /** Servers whose wiring changes between managed and none; a server that is not named is managed. */
  readonly rewired: readonly RackServer[];
}

export type SwitchKey = Exclude<keyof RackSwitch, 'name' | 'line'>;

const switchKeys = [
  'type',
  'host',
  'transport',
  'tcpPort',
  'username',
  'password',
  'enablePassword',
  'hostKeyPin',
  'legacyCrypto',
  'uplinks',
  'fabric',
  'provisioning',
  'park',
] as const satisfies readonly SwitchKey[];

/** Compares what is in force with what is uploaded; pure. Lines, order and server names of wires do not count. */
export function rackDifference(
  before: Omit<RackConfig, 'warnings'>,
  after: Omit<RackConfig, 'warnings'>,
): RackDifference {
  const wires = pair(before.wires, after.wires, (wire) => wire.mac);
  const switches = pair(before.switches, after.switches, (s) => s.name);
  const servers = pair(before.servers, after.servers, (server) => server.name);
  return {
    wires: {
      added: wires.added,
      dropped: wires.dropped,
      moved: wires.kept.filter((w) => w.before.switch !== w.after.switch || w.before.port !== w.after.port),
    },
    switches: {
      added: switches.added,
      dropped: switches.dropped,
      changed: switches.kept
        .map((kept) => ({ ...kept, keys: switchKeys.filter((key) => differs(kept.before, kept.after, key)) }))
        .filter(({ keys }) => keys.length > 0),
    },
    rewired: [
      ...servers.kept.filter((s) => s.before.wiring !== s.after.wiring).map((s) => s.after),
      ...servers.added.filter((s) => s.wiring === 'none'),
      ...servers.dropped
        .filter((s) => s.wiring === 'none')
        .map(({ name }) => ({ name, wiring: 'managed' as const })),
    ],
  };
}

interface Pairs<T> {
  readonly added: readonly T[];
  readonly dropped: readonly T[];
  readonly kept: readonly { readonly before: T; readonly after: T }[];
}

function pair<T>(before: readonly T[], after: readonly T[], key: (item: T) => string): Pairs<T> {
  const old = new Map(before.map((item) => [key(item), item]));
  const fresh = new Map(after.map((item) => [key(item), item]));
  return {
    added: after.filter((item) => !old.has(key(item))),
    dropped: before.filter((item) => !fresh.has(key(item))),
    kept: after.flatMap((item) => {
      const earlier = old.get(key(item));
      return earlier ? [{ before: earlier, after: item }] : [];
    }),
  };
}

function differs(before: RackSwitch, after: RackSwitch, key: SwitchKey): boolean {
  return comparable(before[key], key) !== comparable(after[key], key);
}

/** A text that is equal for equal values. It may hold a secret and never leaves this file. */
function comparable(value: RackSwitch[SwitchKey], key: SwitchKey): string {
  if (key === 'uplinks') return JSON.stringify([...(value as RackSwitch['uplinks'])].sort());
  if (typeof value === 'object' && value && 'from' in value && value.from === 'literal') {
    return JSON.stringify(['literal', value.secret.reveal()]);
  }
  return JSON.stringify(value);
}
