import { once } from 'node:events';
import { connect } from 'node:net';

/** Sends these bytes as all that the client says, and gives what comes back until the server closes. */
export async function rawExchange(port: number, bytes: Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
  socket.on('error', () => undefined);
  socket.end(bytes);
  await once(socket, 'close');
  return answer;
}
