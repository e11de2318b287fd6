import {
  LabCluster,
  LabManagementServer,
  type LabManagementServerOptions,
} from '../../../lab/management-server/lab-management-server.ts';
import { authority } from './agent-harness.ts';

/** Hosts of a pair of servers: CloudStack tells hosts without ports, so the two differ in the host and share the port. */
export const hosts = ['127.0.0.1', '127.0.0.2'] as const;

/** Two management servers of one cluster, both running; somebody else may have the second one's port, so this tries again. */
export async function serverPair(
  options: LabManagementServerOptions = {},
): Promise<readonly [LabManagementServer, LabManagementServer]> {
  for (let left = 20; ; left -= 1) {
    const cluster = new LabCluster();
    const more = { authority: authority(), cluster, ...options };
    const a = new LabManagementServer({ ...more, host: hosts[0], mgmtId: 1_001n });
    await a.start();
    const b = new LabManagementServer({ ...more, host: hosts[1], mgmtId: 1_002n, port: a.address.port });
    try {
      await b.start();
      return [a, b];
    } catch (error) {
      await a.stop();
      if (left === 0) throw error;
    }
  }
}
