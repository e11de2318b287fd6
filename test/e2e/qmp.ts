import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

interface QmpMessage {
  readonly event?: string;
  readonly error?: { readonly desc: string };
  readonly return?: unknown;
}

/** Sends one command to QEMU's machine protocol: greeting, capabilities, command. @throws Error with what QEMU says */
export async function qmp(
  path: string,
  execute: string,
  args: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const socket = connect(path);
  await once(socket, 'connect');
  try {
    const commands = [{ execute: 'qmp_capabilities' }, { execute, arguments: args }];
    for await (const line of createInterface({ input: socket })) {
      const message = JSON.parse(line) as QmpMessage;
      if (message.event !== undefined) continue;
      if (message.error) throw new Error(`QEMU refuses ${execute}: ${message.error.desc}`);
      const next = commands.shift();
      if (!next) return message.return;
      socket.write(`${JSON.stringify(next)}\n`);
    }
    throw new Error('QEMU closed the connection');
  } finally {
    socket.destroy();
  }
}
