// Runs the command of its arguments with a MariaDB server beside it, on which the tests keep their storage
// (`test/support/temp-database.ts`), and ends as the command does.
import { spawn } from 'node:child_process';
import { MariadbServer } from './mariadb-server.ts';

const [command, ...args] = process.argv.slice(2);
if (command === undefined) throw new Error('which command?');
const server = await MariadbServer.start().catch((error: unknown) => {
  const missing = (error as { code?: unknown }).code === 'ENOENT';
  throw missing
    ? new Error('MariaDB is missing: apt-get install mariadb-server-core mariadb-client-core')
    : error;
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
try {
  const env = { ...process.env, CSBM_TEST_STORE: 'mariadb', CSBM_TEST_MARIADB_SOCKET: server.socket };
  const child = spawn(command, args, { stdio: 'inherit', env });
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
} finally {
  await server.stop();
}
