import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { WrongSignature } from './authentication.ts';
import type { MaasReply } from './handler.ts';
import { JsonText } from './json-text.ts';
import type { MaasRefusal } from './maas-refusal.ts';

export const jsonType = 'application/json; charset=utf-8';
const textType = 'text/plain; charset=utf-8';

/** So many characters of an array are gathered before they are written. */
const chunkLength = 64 * 1024;

/** Sends what an action answers. A stream that fails after its first item cuts the connection: the client must not take half of it for the whole. */
export async function sendReply(res: ServerResponse, reply: MaasReply): Promise<void> {
  if ('empty' in reply) {
    res.writeHead(204).end();
    return;
  }
  const status = reply.status ?? 200;
  if ('json' in reply) send(res, status, jsonType, JSON.stringify(reply.json));
  else if ('text' in reply) send(res, status, reply.type ?? textType, reply.text);
  else if ('bytes' in reply) send(res, status, reply.type, reply.bytes);
  else await sendArray(res, status, reply.stream);
}

/** Sends a refusal as MAAS words it. */
export function sendRefusal(res: ServerResponse, refusal: MaasRefusal): void {
  const { status, body, retryAfter } = refusal;
  if (retryAfter !== null) res.setHeader('retry-after', String(retryAfter));
  if (refusal instanceof WrongSignature) {
    res.setHeader('www-authenticate', 'OAuth realm="OAuth"');
    send(res, status, 'text/html; charset=utf-8', refusal.message);
  } else if (typeof body === 'string') send(res, status, textType, body);
  else send(res, status, jsonType, JSON.stringify(body));
}

function send(res: ServerResponse, status: number, type: string, body: string | Buffer): void {
  res.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  res.end(body);
}

async function sendArray(res: ServerResponse, status: number, items: AsyncIterable<unknown>): Promise<void> {
  const gone = new AbortController();
  const onClose = (): void => gone.abort(new Error('the client went away'));
  res.once('close', onClose);
  let text = '[';
  let separator = '';
  try {
    for await (const item of items) {
      text += separator + (item instanceof JsonText ? item.text : JSON.stringify(item));
      separator = ',\n';
      if (text.length < chunkLength) continue;
      await write(res, status, text, gone.signal);
      text = '';
      // Other requests get their turn between two pieces.
      await nextTurn();
      if (res.destroyed) return;
    }
    if (!res.headersSent) send(res, status, jsonType, `${text}]`);
    else res.end(`${text}]`);
  } finally {
    res.off('close', onClose);
  }
}

/** Waits while the client reads slower than we write, or until it goes away. */
async function write(res: ServerResponse, status: number, text: string, gone: AbortSignal): Promise<void> {
  if (!res.headersSent) res.writeHead(status, { 'content-type': jsonType });
  if (res.write(text) || res.destroyed) return;
  await once(res, 'drain', { signal: gone }).catch((thrown: unknown) => {
    if (!gone.aborted) throw thrown;
  });
}
