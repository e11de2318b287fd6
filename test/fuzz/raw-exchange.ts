import { connect } from 'node:net';
import { closed } from '../support/closed.ts';

/** Sends these bytes as all that the client says, and gives what comes back until the server closes. */
export async function rawExchange(port: number, bytes: Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
  socket.end(bytes);
  await closed(socket);
  return answer;
}
