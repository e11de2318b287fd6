import { readFileSync } from 'node:fs';
import { createAuthority, type Authority } from '../../lab/management-server/certificate.ts';
import { LabCluster, LabManagementServer } from '../../lab/management-server/lab-management-server.ts';
import { hostIdOf } from './agent-links-host.ts';
import { answerQuestions } from './child-process.ts';

/** How the lab's management server is to run in a process of its own: its first argument, in JSON. */
export interface ManagementServerOrder {
  readonly host: string;
  readonly port: number;
  /** Seconds. */
  readonly pingInterval: number;
  readonly mgmtId: number;
  /** The authority's certificate and key, both PEM. */
  readonly authority: { readonly pemFile: string; readonly keyFile: string };
  /** Servers that it tells its agents. */
  readonly servers: readonly string[];
}

/** The ids are the same in every process, as from one database. */
class NumberedCluster extends LabCluster {
  override hostId(guid: string): bigint {
    return hostIdOf(Number(guid.replace(/\D/g, '')));
  }
}

const order = JSON.parse(process.argv[2]!) as ManagementServerOrder;
const pem = readFileSync(order.authority.pemFile, 'utf8');
// Only what a server shows: nothing is issued here.
const authority: Authority = {
  ...createAuthority(),
  pem,
  keyPem: readFileSync(order.authority.keyFile, 'utf8'),
};
const server = new LabManagementServer({
  host: order.host,
  port: order.port,
  pingInterval: order.pingInterval,
  mgmtId: BigInt(order.mgmtId),
  strict: true,
  authority,
  cluster: new NumberedCluster(),
});
server.behaviours.servers = { hosts: order.servers, avoid: [], algorithm: 'static', checkInterval: 0 };
await server.start();

answerQuestions({
  hostsUp: () => server.hosts().filter(({ state }) => state === 'Up').length,
  anomalies: () => server.anomalies.slice(0, 5),
  stop: async () => {
    await server.stop();
    setImmediate(() => process.exit(0));
    return null;
  },
});
