import type { RequestListener } from 'node:http';

/** As MAAS's clients read it: plain text, and when to come again. */
const retryAfterSeconds = 30;

/** While `refuse` throws, whoever wants to change something is told so, and to come later; looking goes on. */
export function closedDoor(refuse: () => void, door: RequestListener): RequestListener {
  return (req, res) => {
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      try {
        refuse();
      } catch (thrown) {
        const text = thrown instanceof Error ? thrown.message : 'not now';
        res.writeHead(503, { 'content-type': 'text/plain', 'retry-after': String(retryAfterSeconds) });
        res.end(text);
        req.resume();
        return;
      }
    }
    door(req, res);
  };
}
