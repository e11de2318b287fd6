import { once } from 'node:events';
import { Command, InvalidArgumentError } from 'commander';
import { LabManagementServer } from '../../../lab/management-server/lab-management-server.ts';

/** `csbm lab management-server`: a management server for agents, without a CloudStack behind it, until interrupted. */
export function labManagementServerCommand(): Command {
  return new Command('management-server')
    .description('run a simulated CloudStack management server in the foreground')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'TCP port', port, 8250)
    .option('--ping-interval <seconds>', 'ping interval told to agents', seconds, 60)
    .option('--strict', 'demand a client certificate that names the agent address', false)
    .action(async function (
      this: Command,
      options: { host: string; port: number; pingInterval: number; strict: boolean },
    ) {
      const log = (line: string): boolean => process.stderr.write(`${line}\n`);
      const server = new LabManagementServer({ ...options, log: (line) => void log(line) });
      try {
        await server.start();
      } catch (error) {
        this.error(`error: cannot listen on ${options.host}:${options.port}: ${(error as Error).message}`, {
          exitCode: 1,
        });
      }
      const { host, port } = server.address;
      log(`listening on ${host}:${port}; this is the certificate to pin:`);
      process.stdout.write(server.authority.pem);
      await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
      await server.stop();
    });
}

function port(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0 || number > 65_535) {
    throw new InvalidArgumentError('a port is a whole number from 0 to 65535');
  }
  return number;
}

function seconds(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) {
    throw new InvalidArgumentError('a ping interval is a whole number of seconds, at least 1');
  }
  return number;
}
