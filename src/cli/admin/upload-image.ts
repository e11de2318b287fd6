import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { AdminClient } from '../admin-client.ts';
import { openRequest } from '../http-request.ts';
import { size } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import type { AddingView } from './api-types.ts';

export interface UploadOptions {
  readonly terminal: Terminal;
  /** No progress, also on a terminal. */
  readonly quiet: boolean;
}

/**
 * Streams an image to the service. By `node:http`, because fetch gives up an upload after five minutes without an answer,
 * and loses the answer that comes before the upload's end.
 */
export async function uploadImage<T>(
  client: AdminClient,
  file: string,
  query: URLSearchParams,
  { terminal, quiet }: UploadOptions,
): Promise<T> {
  const path = resolve(terminal.cwd, file);
  const total = await sizeOf(path);
  const url = new URL(`${client.url}/api/v1/images?${query.toString()}`);
  const request = openRequest(url, client.trust, {
    method: 'POST',
    headers: {
      authorization: client.authorization,
      'content-type': 'application/octet-stream',
      'content-length': total,
    },
  });
  // Not more than was announced: what a growing file has besides would be taken for another request.
  const bytes = createReadStream(path, { highWaterMark: 1024 * 1024, end: total - 1 });
  const bar = quiet ? null : new ProgressBar(terminal, total);
  const ended = new AbortController();
  // Nothing moves while the service converts the image: the probes keep the connection in the memory of firewalls.
  request.once('socket', (socket) => socket.setKeepAlive(true, 30_000));
  try {
    const answer = await new Promise<IncomingMessage>((answered, failed) => {
      let response: IncomingMessage | undefined;
      request.once('response', (message) => answered((response = message)));
      // After the answer, a broken pipe only means that the service did not want the rest.
      request.on('error', (cause) => response ?? failed(client.unreachable(cause)));
      bytes.on('error', (cause) => failed(unreadable(path, cause)));
      bytes.on('data', (chunk) => bar?.add(chunk.length));
      // The service would wait for the rest for hours.
      bytes.once('end', () => bytes.bytesRead < total && failed(changed(path, bytes.bytesRead, total)));
      if (bar) bytes.once('end', () => void watch(client, query.get('name'), bar, ended.signal));
      bytes.pipe(request);
    });
    bytes.unpipe(request);
    const body = await text(answer).catch((cause: unknown) => {
      throw client.unreachable(cause);
    });
    if (answer.statusCode === 201) return JSON.parse(body) as T;
    throw client.refusal(answer.statusCode ?? 0, body);
  } finally {
    ended.abort();
    bar?.end();
    bytes.destroy();
    request.destroy();
  }
}

/** In milliseconds. */
const lookEvery = 1_000;

/** Shows what the service does with the whole image, until it answers. */
async function watch(
  client: AdminClient,
  name: string | null,
  bar: ProgressBar,
  signal: AbortSignal,
): Promise<void> {
  try {
    while (bar.visible) {
      await sleep(lookEvery, undefined, { signal });
      const { adding } = await client.call<{ readonly adding: readonly AddingView[] }>('GET', '/images', {
        signal,
      });
      const mine = adding.find((one) => one.name === name);
      if (mine && !signal.aborted) bar.show(mine);
    }
  } catch {
    // The upload has been answered; or it will be told there what is wrong.
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new Error('not a file');
    if (found.size === 0) throw new Error('the file is empty');
    return found.size;
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown): ServiceError {
  return new ServiceError({
    code: 'cli.failed',
    what: 'the image cannot be read',
    where: path,
    said: cause instanceof Error ? cause.message : String(cause),
    remedy: 'name a readable file',
    cause,
  });
}

function changed(path: string, read: number, total: number): ServiceError {
  return new ServiceError({
    code: 'cli.failed',
    what: 'the image was changed while it was sent',
    where: path,
    said: `it had ${total} bytes, and ends after ${read}`,
    remedy: 'upload it again when whoever writes it is done',
  });
}

/** On standard error, and on a terminal only. */
class ProgressBar {
  readonly #terminal: Terminal;
  readonly #total: number;
  #sent = 0;
  #shown = -1;

  constructor(terminal: Terminal, total: number) {
    this.#terminal = terminal;
    this.#total = total;
  }

  add(bytes: number): void {
    this.#sent += bytes;
    const percent = Math.floor((this.#sent / this.#total) * 100);
    if (percent === this.#shown || !this.#terminal.stderr.isTTY) return;
    this.#shown = percent;
    const filled = Math.floor(percent / 4);
    const bar = '#'.repeat(filled).padEnd(25, '.');
    this.#terminal.stderr.write(
      `\r\u001b[K[${bar}] ${percent} % of ${size(this.#total)}${percent === 100 ? ', being checked' : ''}`,
    );
  }

  get visible(): boolean {
    return this.#shown >= 0;
  }

  /** What happens after the upload. */
  show({ doing, percent }: AddingView): void {
    const far = percent === null ? '' : ` ${percent} %`;
    this.#terminal.stderr.write(`\r\u001b[K[${'#'.repeat(25)}] ${size(this.#total)} sent, ${doing}${far}`);
  }

  end(): void {
    if (this.visible) this.#terminal.stderr.write('\r\u001b[K');
  }
}
