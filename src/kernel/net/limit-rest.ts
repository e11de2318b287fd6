import type { IncomingMessage } from 'node:http';
import type { Duration } from '../../../plugin-api/index.ts';

/**
 * Breaks the connection of a request that is answered before its end, unless the rest arrives in time: whoever goes on sending, drop
 * by drop, would hold it.
 */
export function limitRest(req: IncomingMessage, time: Duration): void {
  const { socket } = req;
  const timer = setTimeout(() => socket.destroy(), time);
  const over = (): void => {
    clearTimeout(timer);
    // The connection goes on to the next request.
    socket.off('close', over);
  };
  req.once('end', over);
  socket.once('close', over);
}
