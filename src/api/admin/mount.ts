import type { IncomingMessage } from 'node:http';
import type { Express, NextFunction, Request, Response } from 'express';
import type { z } from 'zod';
import { seconds } from '../../../plugin-api/index.ts';
import { askerOf, type Principal } from '../../core/access/principal.ts';
import { isBearerToken } from '../../core/access/bearer-token.ts';
import { authorise } from '../../core/access/rights.ts';
import type { RateLimit } from '../../kernel/concurrency/rate-limit.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';
import { Throttled } from '../../kernel/errors/throttled.ts';
import type { Log } from '../../kernel/log/log.ts';
import { limitRest } from '../../kernel/net/limit-rest.ts';
import { peerOf } from '../../kernel/net/peer-address.ts';
import type { BodyLimits } from '../../kernel/net/read-bytes.ts';
import type { Access } from '../../operations/access.ts';
import { httpStatus } from './http-status.ts';
import { readJson, readText, refuseEncoding } from './request-body.ts';
import type { Reply, Route } from './route.ts';

export const door = 'admin';

/** What a client may still send after it was refused: then the connection is cut. */
const lingering = seconds(10);

export interface MountOptions {
  readonly access: Access;
  readonly log: Log;
  readonly body: BodyLimits;
  /** Of each principal; absent = as many as it likes. */
  readonly requests?: RateLimit | undefined;
  /** Throws for what is not to be done just now. */
  readonly refuse?: ((route: Route) => void) | undefined;
}

const nobody: Principal = { name: '', role: 'viewer', scope: '' };

/** Makes the routes answer: authenticate, authorise, check query and body, handle. In this order, each with its refusal. */
export function mount(app: Express, routes: readonly Route[], options: MountOptions): void {
  for (const one of routes) {
    app[one.method](one.path.replaceAll(/\{(\w+)\}/g, ':$1'), async (req: Request, res: Response) => {
      const principal = one.action === null ? nobody : await authenticate(options.access, req);
      if (one.action !== null) refuseTooMany(options.requests, principal.name);
      if (one.action !== null) authorise({ ...principal, principal: principal.name }, one.action);
      options.refuse?.(one);
      const query = one.query === null ? undefined : parse(one.query, { ...req.query }, 'query');
      const body = await bodyOf(one, req, options.body);
      const reply = await one.handle({
        principal,
        query,
        body,
        req,
        res,
        param: (name) => String(req.params[name]),
        asker: (reason = '') => askerOf(principal, door, reason),
      });
      if (one.method !== 'get') {
        const reason = (body as { readonly reason?: unknown } | undefined)?.reason;
        options.log.info(
          { by: principal.name, door, action: one.action, path: req.path, ...(reason !== '' && { reason }) },
          'admin request',
        );
      }
      send(res, reply);
    });
  }
}

function send(res: Response, reply: Reply): void {
  if (reply === 'streamed') return;
  res.status(reply.status);
  if (reply.body === undefined) res.end();
  else res.json(reply.body);
}

/** @throws ServiceError `request.unauthenticated`, `access.throttled` */
export async function authenticate(
  access: Access,
  req: Pick<IncomingMessage, 'headers' | 'socket'>,
): Promise<Principal> {
  const source = peerOf(req.socket.remoteAddress);
  const token = /^Bearer (.*)$/.exec(req.headers.authorization ?? '')?.[1] ?? '';
  if (isBearerToken(token)) return access.authenticate(token, source);
  access.refuseThrottled(source);
  throw new ServiceError({
    code: 'request.unauthenticated',
    what: 'no bearer token',
    remedy: 'send Authorization: Bearer TOKEN',
  });
}

/** @throws Throttled `request.too-many` */
function refuseTooMany(requests: RateLimit | undefined, principal: string): void {
  const wait = requests?.take(principal) ?? 0;
  if (wait > 0)
    throw new Throttled('request.too-many', wait, { what: `${principal} sends too many requests` });
}

async function bodyOf({ body }: Route, req: Request, limits: BodyLimits): Promise<unknown> {
  if (body === null) return undefined;
  if ('text' in body) return readText(req, { ...limits, bytes: body.text });
  if ('bytes' in body) {
    refuseEncoding(req);
    return undefined;
  }
  const json = await readJson(req, limits);
  if (json !== undefined) return parse(body, json, 'body');
  // Where nothing has to be said, no body is needed.
  const empty = body.safeParse({});
  if (empty.success) return empty.data;
  throw new ServiceError({
    code: 'request.invalid',
    what: 'the body is empty',
    remedy: 'send a JSON object; /openapi.json says what belongs in it',
  });
}

/** zod says what it wants, and never repeats what it got. */
function parse(schema: z.ZodType, value: unknown, whole: string): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const what = result.error.issues
    .map((issue) => `${issue.path.join('.') || whole}: ${issue.message}`)
    .join('; ');
  throw new ServiceError({ code: 'request.invalid', what });
}

/** Every refusal and failure as the API tells it. */
export function errorAnswer(log: Log) {
  return (thrown: unknown, req: Request, res: Response, next: NextFunction): void => {
    if (res.headersSent) {
      next(thrown);
      return;
    }
    const error = asBorderError(thrown);
    const status = httpStatus(error);
    if (status >= 500) log.error({ err: thrown, path: req.path }, 'admin request failed');
    else if (status === 401 || status === 403 || status === 429)
      log.warn(
        { path: req.path, from: req.socket.remoteAddress, error: error.message },
        'admin request refused',
      );
    if (error instanceof Throttled) res.set('retry-after', String(error.retryAfter));
    const problems = 'problems' in error ? { problems: error.problems } : {};
    if (!req.complete) letRunDry(req);
    res.status(status).json({ error: { ...error.toJSON(), message: error.message, ...problems } });
  };
}

/** An answer before the body's end: the rest is read and thrown away, so that the answer is heard, but not for ever. */
function letRunDry(req: Request): void {
  if (req.socket.destroyed) return;
  req.resume();
  limitRest(req, lingering);
}

/** What express objects to is the caller's mistake, not ours. */
function asBorderError(thrown: unknown): ReturnType<typeof asCodedError> {
  const status = thrown instanceof Error && 'status' in thrown ? thrown.status : undefined;
  if (typeof status === 'number' && status >= 400 && status < 500)
    return new ServiceError({ code: 'request.invalid', what: 'the request cannot be read' });
  // The client went away in the middle of its body: its own doing, and nobody is left to read the answer.
  if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ECONNRESET')
    return new ServiceError({ code: 'request.invalid', what: 'the body ended in the middle' });
  return asCodedError(thrown);
}
