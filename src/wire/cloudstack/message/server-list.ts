import type { ParsedEntry } from '../body.ts';
import { arrayField, longField, textField } from '../gson-reader.ts';

export const setupMsListCommandClass = 'org.apache.cloudstack.agent.lb.SetupMSListCommand';
export const migrateAgentConnectionCommandClass = 'com.cloud.agent.api.MigrateAgentConnectionCommand';

/** Management servers as a server tells them to an agent: hosts only, in the order of preference. */
export interface ServerListTo {
  readonly hosts: readonly string[];
  /** Servers that are not to be used, in maintenance say; null when the sender does not know such a list (before 4.21). */
  readonly avoid: readonly string[] | null;
  /** `static`, `roundrobin` or `shuffle`; the order is applied already. */
  readonly algorithm: string | null;
  /** Seconds between two looks at the preferred server; 0 = never. Null when not told. */
  readonly checkInterval: number | null;
}

/** Reads the list of a SetupMSListCommand or MigrateAgentConnectionCommand. */
export function readServerList(entry: ParsedEntry): ServerListTo {
  return serverList(entry, 'msList', 'avoidMsList');
}

/** Reads the list that a ReadyCommand may carry, in fields of other names; null when it carries none. */
export function readReadyServerList(entry: ParsedEntry): ServerListTo | null {
  const list = serverList(entry, 'msHostList', 'avoidMsHostList');
  return list.hosts.length === 0 && list.avoid === null ? null : list;
}

/** Servers that a PingAnswer says are not to be used; null when it does not say (before 4.21). */
export function readAvoidList(entry: ParsedEntry): readonly string[] | null {
  return hostList(entry, 'avoidMsList');
}

function serverList(entry: ParsedEntry, hosts: string, avoid: string): ServerListTo {
  const checkInterval = longField(entry.fields, 'lbCheckInterval');
  return {
    hosts: hostList(entry, hosts) ?? [],
    avoid: hostList(entry, avoid),
    algorithm: textField(entry.fields, 'lbAlgorithm'),
    checkInterval: checkInterval === null ? null : Number(checkInterval),
  };
}

/** Longest list that is taken. */
const maxServers = 64;

function hostList(entry: ParsedEntry, name: string): readonly string[] | null {
  if (!Object.hasOwn(entry.fields, name)) return null;
  const hosts = arrayField(entry.fields, name).filter(
    (host): host is string => typeof host === 'string' && /^[\w.:-]{1,253}$/.test(host),
  );
  return [...new Set(hosts)].slice(0, maxServers);
}
