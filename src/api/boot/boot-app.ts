import { join } from 'node:path';
import express, { type Express, type NextFunction, type Request, type Response, type Router } from 'express';
import { z } from 'zod';
import { parseMac, seconds, type JsonObject, type JsonValue } from '../../../plugin-api/index.ts';
import type { Clock, Duration } from '../../../plugin-api/index.ts';
import { RateLimit, type RateLimitOptions } from '../../kernel/concurrency/rate-limit.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import { Throttled } from '../../kernel/errors/throttled.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { ByteBudget } from '../../kernel/net/byte-budget.ts';
import { peerOf } from '../../kernel/net/peer-address.ts';
import { readBytes, type BodyFault } from '../../kernel/net/read-bytes.ts';
import type { BootConversationService } from '../../operations/boot/boot-conversations.ts';
import type { BootAsker } from '../../operations/boot/newcomers.ts';
import type { ImageFile } from '../../operations/images/image-library.ts';
import { jsonExcess, usualDepth } from '../../wire/json/json-limits.ts';
import { progressMessage, resultMessage } from './agent-messages.ts';
import { sendError } from './boot-errors.ts';
import { FileUnavailable, sendFile } from './file-response.ts';
import type { FileSender } from './file-sender.ts';
import { decisionScript, firstScript, laterScript } from './ipxe-scripts.ts';

export interface BootAppOptions {
  readonly conversations: BootConversationService;
  readonly images: { file(name: string): Promise<ImageFile | null> };
  /** Where `vmlinuz` and `initrd` lie. */
  readonly ramdiskDir: string;
  /** By which machines reach this service, for example `http://10.1.0.2:8480`. */
  readonly publicUrl: string;
  /** Arguments for the ramdisk's kernel besides ours, for example `console=ttyS0,115200`. */
  readonly kernelArguments?: string;
  /** Sends images and the ramdisk past Node; without it Node sends them. The caller closes it, after the server. */
  readonly sender?: FileSender | null;
  readonly log: Log;
  /** How often one MAC address, one token, and, twenty times as often, one address may ask; absent = as often as it likes. */
  readonly asking?: { readonly clock: Pick<Clock, 'monotonic'>; readonly limit: RateLimitOptions };
  /** Memory for all bodies that are being read. */
  readonly bodyBudget?: ByteBudget;
  /** Until the body of a request must be there (default 60 s). */
  readonly bodyTimeout?: Duration;
}

/** Largest bodies in bytes: a log as the protocol says; an inventory of a thousand disks is smaller than a result may be. */
const bodyLimits = { progress: 16 * 1024, log: 64 * 1024, result: 1024 * 1024 };

/** Machines behind one address, where there is a relay or a simulated floor. */
const askersPerAddress = 20;

/** Who asks more often than any machine does. */
class Asking {
  readonly #askers: RateLimit;
  readonly #addresses: RateLimit;

  constructor({ clock, limit }: NonNullable<BootAppOptions['asking']>) {
    const { rate, burst } = limit;
    this.#askers = new RateLimit(clock, limit);
    this.#addresses = new RateLimit(clock, {
      ...limit,
      rate: rate * askersPerAddress,
      burst: burst * askersPerAddress,
    });
  }

  /** Milliseconds until the address may ask again; 0 = now. */
  address(req: Request): number {
    return this.#addresses.take(peerOf(req.socket.remoteAddress));
  }

  /** The same for a MAC address or a token. */
  asker(name: string): number {
    return this.#askers.take(name);
  }
}

/** The boot service's HTTP side, docs/boot-protocol.md: translates it to boot conversations and owns no rule. */
export function bootApp(options: BootAppOptions): Express {
  const { log } = options;
  const base = options.publicUrl.replace(/\/+$/, '');
  const asking = options.asking ? new Asking(options.asking) : null;
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', 'simple');
  app.set('strict routing', true);
  app.set('case sensitive routing', true);
  app.use(accessLog(log));
  app.get('/boot.ipxe', (_req, res) => sendScript(res, firstScript(base)));
  app.get('/boot/v1/script', scriptRoute(options, base, asking));
  app.get('/boot/v1/ramdisk/:file', ramdiskRoute(options));
  app.use('/boot/v1/agent', agentRouter(options, base, asking));
  app.use((_req: Request, res: Response) => {
    sendError(res, new ServiceError({ code: 'request.not-found', what: 'there is nothing at this address' }));
  });
  app.use((thrown: unknown, req: Request, res: Response, next: NextFunction) => {
    if (res.headersSent) {
      // Express breaks the connection: the client must not take half an answer for a whole one.
      next(thrown);
      return;
    }
    const error = sendError(res, thrown);
    const level = res.statusCode >= 500 ? 'error' : 'info';
    log[level](
      { method: req.method, path: shown(req), status: res.statusCode, code: error.code, err: error.cause },
      `boot service: ${error.what}`,
    );
  });
  return app;
}

const scriptQuery = z.object({
  mac: z.string().transform((text) => parseMac(text)),
  platform: plain(16),
  arch: plain(16),
  serial: plain(128),
});

/** Something that a machine told about itself in the URL; nothing depends on it being there. */
function plain(longest: number): z.ZodType<string> {
  return z
    .string()
    .catch('')
    .transform((value) =>
      value
        .replaceAll(/[^\x20-\x7e]/g, '')
        .trim()
        .slice(0, longest),
    );
}

function scriptRoute(options: BootAppOptions, base: string, asking: Asking | null) {
  const { conversations, log } = options;
  const ramdisk = { kernelArguments: options.kernelArguments ?? '' };
  return async (req: Request, res: Response): Promise<void> => {
    if (req.method === 'HEAD') {
      // The answer is a decision, and for an armed order the only one: nobody gets it by just looking.
      res.status(405).set('allow', 'GET').end();
      return;
    }
    const asker = readAsker(req);
    if (asker === null) {
      sendScript(
        res,
        decisionScript({ kind: 'power-off', reason: 'no valid MAC in the request' }, base, ramdisk),
      );
      return;
    }
    // Before anything is looked up, and in words that iPXE understands: it asks again in a while.
    if (asking && (asking.address(req) > 0 || asking.asker(asker.mac) > 0)) {
      log.debug({ mac: asker.mac, remote: asker.remote }, 'asks for its boot too often');
      sendScript(res, laterScript(base));
      return;
    }
    try {
      const decision = await conversations.decide(asker);
      log.info({ mac: asker.mac, remote: asker.remote, decision: decision.kind }, 'boot decision');
      sendScript(res, decisionScript(decision, base, ramdisk));
    } catch (error) {
      log.error({ mac: asker.mac, remote: asker.remote, err: error }, 'no boot decision');
      sendScript(res, laterScript(base));
    }
  };
}

function readAsker(req: Request): BootAsker | null {
  try {
    return { ...scriptQuery.parse(req.query), remote: remoteOf(req) };
  } catch {
    return null;
  }
}

function ramdiskRoute({ ramdiskDir, sender }: BootAppOptions) {
  return async (req: Request, res: Response): Promise<void> => {
    const name = req.params['file'];
    if (name !== 'vmlinuz' && name !== 'initrd') {
      throw new ServiceError({
        code: 'request.not-found',
        what: 'the ramdisk consists of vmlinuz and initrd',
      });
    }
    try {
      await sendFile(req, res, { path: join(ramdiskDir, name), tag: null, bytes: null, headers: {} }, sender);
    } catch (error) {
      if (!(error instanceof FileUnavailable)) throw error;
      throw unavailable(`the ramdisk's ${name} is missing on the server; build the ramdisk`, error);
    }
  };
}

function agentRouter(options: BootAppOptions, base: string, asking: Asking | null): Router {
  const { conversations, images, sender, log } = options;
  const body = bodyReader(options);
  const router = express.Router({ strict: true, caseSensitive: true });
  router.use(async (req, res, next) => {
    res.set('cache-control', 'no-store');
    const token = tokenOf(req);
    const wait = asking ? Math.max(asking.address(req), asking.asker(token)) : 0;
    if (wait > 0)
      throw new Throttled('request.too-many', wait, { what: 'the agent sends too many requests' });
    // What only reads looks the token up by itself; who sends a body is known before it is read.
    if (req.method !== 'GET') await conversations.authenticate(token);
    next();
  });

  router.get('/order', async (req, res) => {
    res.json(absoluteUrls(await conversations.order(tokenOf(req)), base));
  });

  router.post('/progress', body(bodyLimits.progress), async (req, res) => {
    await conversations.report(tokenOf(req), readMessage(progressMessage, req));
    res.json({});
  });

  router.post('/log', body(bodyLimits.log), async (req, res) => {
    await conversations.log(tokenOf(req), bodyText(req).replaceAll(/[^\P{Cc}\n\t]/gu, ''));
    res.json({});
  });

  router.post('/result', body(bodyLimits.result), async (req, res) => {
    const token = tokenOf(req);
    let result;
    try {
      result = readMessage(resultMessage, req);
    } catch (error) {
      // The agent does not repeat what was refused: its order ends here.
      if (error instanceof ServiceError) await conversations.unreadableResult(token, error.what);
      throw error;
    }
    res.json(await conversations.result(token, result));
  });

  router.get('/image', async (req, res) => {
    const name = await conversations.imageOf(tokenOf(req));
    const file = await images.file(name);
    if (!file)
      throw new ServiceError({ code: 'request.not-found', what: `image ${name} does not exist any more` });
    try {
      await sendFile(
        req,
        res,
        {
          path: file.path,
          tag: file.sha256,
          bytes: file.storedBytes,
          headers: { 'x-csbm-sha256': file.sha256 },
        },
        sender,
      );
    } catch (error) {
      if (!(error instanceof FileUnavailable)) throw error;
      log.error({ image: name, err: error }, 'image file cannot be served');
      throw unavailable(`the file of image ${name} is missing or damaged on the server`, error);
    }
  });

  router.get('/first-boot/:name', async (req, res) => {
    const text = await conversations.firstBootFile(tokenOf(req), req.params.name);
    res.type('text/plain').send(text);
  });

  router.use(async (req, _res, next) => {
    await conversations.authenticate(tokenOf(req));
    next();
  });
  return router;
}

/** @throws ServiceError `request.unauthenticated` unless the request carries a token of our form. */
function tokenOf(req: Request): string {
  const token = /^Bearer +([A-Za-z0-9_-]{43})$/i.exec(req.get('authorization') ?? '')?.[1];
  if (token !== undefined) return token;
  throw new ServiceError({ code: 'request.unauthenticated', what: 'a boot token is needed' });
}

/** The body as bytes, whatever its type is called: curl's default is that of a form. */
function bodyReader({ bodyBudget: budget, bodyTimeout: timeout = seconds(60) }: BootAppOptions) {
  return (bytes: number) =>
    async (req: Request, _res: Response, next: NextFunction): Promise<void> => {
      const encoding = (req.get('content-encoding') ?? 'identity').trim().toLowerCase();
      // A small body may unpack to anything.
      if (encoding !== 'identity' && encoding !== '')
        throw refusedBody(415, 'the body has a content-encoding');
      req.body = await readBytes(req, { bytes, timeout, budget }, (fault) =>
        bodyRefusal(fault, bytes, timeout),
      );
      next();
    };
}

function bodyRefusal(fault: BodyFault, bytes: number, timeout: Duration): Error {
  switch (fault) {
    case 'too-large':
      return refusedBody(413, `the body is larger than ${bytes} bytes`);
    case 'cut-off':
      return refusedBody(400, 'the body ended in the middle');
    case 'too-slow':
      return refusedBody(408, `the body did not arrive within ${timeout / 1_000} s`);
    case 'no-room':
      return new Throttled('service.overloaded', 1_000, { what: 'too many bodies are being read' });
  }
}

/** As Express's own body readers tell it. */
function refusedBody(status: number, what: string): Error {
  return Object.assign(new Error(what), { status });
}

function bodyText(req: Request): string {
  return Buffer.isBuffer(req.body) ? req.body.toString('utf8') : '';
}

function readMessage<T>(message: z.ZodType<T>, req: Request): T {
  let value: unknown;
  const text = bodyText(req);
  if (jsonExcess(text, { depth: usualDepth }) !== null)
    throw new ServiceError({
      code: 'request.invalid',
      what: `the body is nested deeper than ${usualDepth} levels`,
    });
  try {
    value = JSON.parse(text);
  } catch {
    throw new ServiceError({ code: 'request.invalid', what: 'the body is not JSON' });
  }
  const read = message.safeParse(value);
  if (read.success) return read.data;
  const issue = read.error.issues[0];
  throw new ServiceError({
    code: 'request.invalid',
    what: `${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'invalid'}`,
  });
}

/** Orders are placed with paths, because only this side knows by which address machines reach it. */
function absoluteUrls(work: JsonObject, base: string): JsonObject {
  const resolve = (value: JsonValue | undefined): JsonValue | undefined => {
    if (Array.isArray(value)) return (value as readonly JsonValue[]).map((entry) => resolve(entry)!);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value as JsonObject).map(([key, entry]) => [
        key,
        key === 'url' && typeof entry === 'string' && entry.startsWith('/') ? base + entry : resolve(entry),
      ]),
    );
  };
  return resolve(work) as JsonObject;
}

function unavailable(what: string, cause: Error): ServiceError {
  return new ServiceError({ code: 'image.storage', what, cause });
}

function sendScript(res: Response, script: string): void {
  res.set('cache-control', 'no-store').type('text/plain').send(script);
}

/** Path only: a query names machines, and no header is ever logged. */
function accessLog(log: Log) {
  return (req: Request, res: Response, next: NextFunction): void => {
    const began = performance.now();
    const { method } = req;
    const path = shown(req);
    const remote = remoteOf(req);
    res.once('close', () => {
      const ms = Math.round(performance.now() - began);
      log.debug(
        { method, path, remote, status: res.statusCode, whole: res.writableFinished, ms },
        'boot request',
      );
    });
    next();
  };
}

function shown(req: Request): string {
  return req.originalUrl.split('?', 1)[0]!.slice(0, 120);
}

function remoteOf(req: Request): string {
  return req.socket.remoteAddress ?? 'unknown';
}
