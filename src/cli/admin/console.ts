import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Command } from 'commander';
import { CodedError, type ErrorParts } from '../../../plugin-api/index.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { ConsoleFrameReader, consoleProtocol, encodeConsoleFrame } from '../../wire/console/console-frame.ts';
import { openRequest } from '../http-request.ts';
import type { AdminClient } from '../admin-client.ts';
import type { Terminal } from '../terminal.ts';
import { EscapeReader } from './escape-reader.ts';
import { adminRun, adminVerb, type AdminOptions } from './verb.ts';

/** `csbm console`: a machine's serial console on this terminal. */
export function consoleCommand(terminal: Terminal): Command {
  return adminVerb(new Command('console').argument('<machine>'))
    .description("a machine's serial console; at the beginning of a line, ~. leaves it and ~B sends a break")
    .option('--take-over', "end somebody else's console")
    .action(async (name: string, options: AdminOptions & { readonly takeOver?: true }) => {
      const { client, json } = await adminRun(terminal, options);
      if (json)
        throw new ServiceError({
          code: 'cli.usage',
          what: 'a console is no document',
          remedy: 'leave --json out',
        });
      const query = options.takeOver ? '?takeOver=1' : '';
      const socket = await connect(client, `/machines/${encodeURIComponent(name)}/console${query}`);
      terminal.stderr.write(`console of ${name}: ~. leaves\r\n`);
      await carry(terminal, socket, client);
    });
}

function connect(client: AdminClient, path: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const request = openRequest(new URL(`${client.url}/api/v1${path}`), client.trust, {
      method: 'GET',
      headers: { authorization: client.authorization, connection: 'Upgrade', upgrade: consoleProtocol },
    });
    request.once('upgrade', (_answer: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    request.once('response', (answer: IncomingMessage) => {
      text(answer).then((body) => reject(client.refusal(answer.statusCode ?? 0, body)), reject);
    });
    request.once('error', (cause) => reject(client.unreachable(cause)));
    request.end();
  });
}

/** Carries characters both ways until the user leaves or the console ends. @throws CodedError why it ended */
async function carry(terminal: Terminal, socket: Duplex, client: AdminClient): Promise<void> {
  const { stdin, stdout } = terminal;
  const left = new AbortController();
  const leave = (): void => {
    left.abort();
    socket.end();
  };
  const escapes = new EscapeReader();
  const typed = (chunk: Buffer): void => {
    for (const part of escapes.read(chunk)) {
      if (part === 'leave') leave();
      else if (part === 'break') socket.write(encodeConsoleFrame({ type: 'break' }));
      else socket.write(encodeConsoleFrame({ type: 'characters', bytes: part }));
    }
  };
  stdin.setRawMode?.(true);
  stdin.on('data', typed).once('end', leave);
  stdin.resume();
  try {
    const reader = new ConsoleFrameReader();
    for await (const chunk of socket as AsyncIterable<Buffer>)
      for (const frame of reader.read(chunk)) {
        if (frame.type === 'characters') stdout.write(frame.bytes);
        else if (frame.type === 'error') throw new CodedError(JSON.parse(frame.text) as ErrorParts);
      }
    // The service says why it ends a console. A connection that just ends is one that broke, or a service that died.
    if (!left.signal.aborted) throw new Error('the connection was closed');
  } catch (thrown) {
    if (thrown instanceof CodedError) throw thrown;
    if (!left.signal.aborted) throw client.unreachable(thrown);
  } finally {
    stdin.off('data', typed).off('end', leave);
    stdin.setRawMode?.(false);
    stdin.pause();
    socket.destroy();
    terminal.stderr.write('\r\n');
  }
}
