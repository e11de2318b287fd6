import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import ssh2 from 'ssh2';

/** A switch that says what a test makes it say, also what no simulated one would. */
export interface ScriptedSwitch {
  readonly port: number;
  /** The lines that it was sent. */
  readonly lines: readonly string[];
  stop(): Promise<void>;
}

/**
 * Lets everybody in, into privileged mode.
 * @param answer what a line is answered with: the text and the prompt, `\r\n` between lines
 */
export async function scriptedSwitch(answer: (line: string) => string): Promise<ScriptedSwitch> {
  const lines: string[] = [];
  const clients = new Set<ssh2.Connection>();
  const server = new ssh2.Server(
    { hostKeys: [ssh2.utils.generateKeyPairSync('ed25519').private] },
    (client) => {
      clients.add(client);
      client.on('error', () => undefined);
      client.on('close', () => clients.delete(client));
      client.on('authentication', (attempt) =>
        attempt.method === 'password' ? attempt.accept() : attempt.reject(['password']),
      );
      client.on('session', (accept) => {
        const session = accept();
        session.on('pty', (acceptPty) => acceptPty());
        session.on('shell', (acceptShell) => {
          const shell = acceptShell();
          let typed = '';
          shell.write('\r\ntor-a#');
          shell.on('data', (bytes: Buffer) => {
            typed += bytes.toString();
            for (let end = typed.indexOf('\r'); end >= 0; end = typed.indexOf('\r')) {
              const line = typed.slice(0, end);
              typed = typed.slice(end + 1);
              lines.push(line);
              shell.write(`${line}\r\n${answer(line)}`);
            }
          });
        });
      });
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    lines,
    stop: async () => {
      for (const client of clients) client.end();
      server.close();
      await once(server, 'close');
    },
  };
}
