import type { Socket } from 'node:net';

/**
 * When the other side has closed the connection, by a reset too, which is how a service parts from a client that goes on sending:
 * `once(socket, 'close')` fails there.
 */
export function closed(socket: Socket): Promise<void> {
  socket.on('error', () => undefined);
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}
