import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { seconds, type Duration } from '../../../plugin-api/index.ts';
import type { FailureLimitOptions } from '../../kernel/concurrency/failure-limit.ts';
import type { RateLimit } from '../../kernel/concurrency/rate-limit.ts';
import { Throttled } from '../../kernel/errors/throttled.ts';
import type { ByteBudget } from '../../kernel/net/byte-budget.ts';
import { limitRest } from '../../kernel/net/limit-rest.ts';
import { peerOf } from '../../kernel/net/peer-address.ts';
import { formKind, parseForm } from '../../wire/maas-form/parse-form.ts';
import { fromFields, fromHeader, isOAuthName, type OAuthValues } from '../../wire/oauth/oauth-values.ts';
import { queryEntries, type Entry } from '../../wire/oauth/signature.ts';
import { Authentication, unsigned, type PendingSignature } from './authentication.ts';
import { describe } from './describe.ts';
import { Fields } from './fields.ts';
import type { MaasAction, MaasHandler, MaasReply, MaasUser } from './handler.ts';
import { addressOf, readBody, type Address } from './http-request.ts';
import { logIn } from './login-door.ts';
import type { MaasContext } from './maas-context.ts';
import { asMaasRefusal } from './maas-errors.ts';
import { MaasRefusal } from './maas-refusal.ts';
import { allowedMethods, findAction, MaasRouter, type MaasRoute } from './maas-router.ts';
import { sendRefusal, sendReply } from './reply.ts';

export interface MaasAppOptions {
  readonly context: MaasContext;
  readonly handlers: readonly MaasHandler[];
  readonly limits?: Partial<MaasLimits>;
  /** Against who tries many wrong signatures. */
  readonly failures?: FailureLimitOptions;
  /** Of each principal; absent = as many as it likes. */
  readonly requests?: RateLimit;
  /** Memory for all bodies that are being read, of those who have signed and of all others. */
  readonly budgets?: { readonly known: ByteBudget; readonly unknown: ByteBudget };
}

export interface MaasLimits {
  /** Most bytes of a body whose sender has signed: a piece of an image is 4 MB, in base64. */
  readonly body: number;
  /** Most bytes of a body that is itself covered by the signature, of somebody who named a key. */
  readonly signedBody: number;
  /** Most bytes of a body from nobody known. */
  readonly unsignedBody: number;
  /** Until a body must be there. */
  readonly bodyTimeout: Duration;
  /** What a client may still send after it was refused: then the connection is cut. */
  readonly lingering: Duration;
}

export const defaultMaasLimits: MaasLimits = {
  body: 8 * 1024 * 1024,
  signedBody: 1024 * 1024,
  unsignedBody: 64 * 1024,
  bodyTimeout: seconds(60),
  lingering: seconds(10),
};

const apiRoot = '/MAAS/api/2.0/';
const text = 'text/plain';

/** A refusal that names the methods there are. */
class WrongMethod extends MaasRefusal {
  readonly allow: readonly string[];

  constructor(allow: readonly string[]) {
    super(405, '');
    this.allow = allow;
  }
}

/** Nobody is there any more to be answered. */
class ClientGone extends Error {}

/** MAAS's API 2.0, as its clients expect it: made from the handlers. */
export function maasApp({
  context,
  handlers,
  failures,
  requests,
  budgets,
  ...options
}: MaasAppOptions): RequestListener {
  const { log, settings } = context;
  const limits = { ...defaultMaasLimits, ...options.limits };
  const router = new MaasRouter(handlers, settings.strict === 'canonical');
  const description = describe(handlers);
  const authentication = new Authentication(context.keys, context.clock, failures);
  const anonymousBody = { bytes: limits.unsignedBody, timeout: limits.bodyTimeout, budget: budgets?.unknown };

  const serve = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const address = addressOf(req);
    if (address.path.startsWith(apiRoot)) await api(req, res, address);
    else await sendReply(res, await entryPoint(req, address));
  };

  /** Addresses outside the API itself, which clients ask before they have a key. */
  const entryPoint = async (req: IncomingMessage, { path }: Address): Promise<MaasReply> => {
    switch (path) {
      case '/MAAS/api/version/':
        allow(req, 'GET');
        return { text: '2.0', type: text };
      case '/MAAS/accounts/login/':
        allow(req, 'GET');
        return { json: { authenticated: false, external_auth_url: null, no_users: false } };
      case '/MAAS/accounts/authenticate/': {
        allow(req, 'POST');
        const body = await readBody(req, anonymousBody);
        return logIn(context, { contentType: contentTypeOf(req), body, source: sourceOf(req) });
      }
    }
    if (path.startsWith('/MAAS/api/1.0/'))
      throw new MaasRefusal(410, 'The 1.0 API is no longer available. Please use API version 2.0.');
    throw unknownPath(path);
  };

  const api = async (req: IncomingMessage, res: ServerResponse, address: Address): Promise<void> => {
    res.setHeader('x-maas-api-hash', description.hash);
    const below = address.path.slice(apiRoot.length);
    if (below === 'describe/') {
      allow(req, 'GET');
      const bytes = Buffer.from(JSON.stringify(description.document(address.origin)));
      // The `maas` command compares the whole header.
      await sendReply(res, { bytes, type: 'application/json' });
      return;
    }
    const route = router.find(below);
    if (!route) throw unknownPath(address.path);
    const request = await read(req, address, route);
    const { action, user } = request;
    if (action.access === 'admin' && !user.isAdmin)
      throw new MaasRefusal(403, 'This method is reserved for admin users.');
    const gone = new AbortController();
    res.once('close', () => gone.abort(new ClientGone('the client went away')));
    const reply = await action.handle({
      user,
      param: (name) => paramOf(route, name),
      fields: request.fields,
      bytes: request.bytes,
      root: `${address.origin}/MAAS`,
      signal: gone.signal,
    });
    if (req.method !== 'GET')
      log.info({ by: user.principal.name, door: 'maas', op: action.op, path: address.path }, 'MAAS request');
    await sendReply(res, reply);
  };

  /** Who asks, for which action, and what with. */
  const read = async (req: IncomingMessage, address: Address, route: MaasRoute) => {
    const method = req.method ?? '';
    const query = queryEntries(address.query);
    const queryOp = opOf(query);
    const open = findAction(route.handler, method, queryOp ?? route.op);
    const contentType = contentTypeOf(req);
    if (open?.access === 'anybody') {
      const bytes = method === 'GET' ? Buffer.alloc(0) : await readBody(req, anonymousBody);
      const form = parseForm(contentType, bytes);
      return { action: open, user: nobody, fields: fieldsOf(query, form), bytes };
    }
    const { user, bytes } = await authenticate(req, address, query);
    const wait = requests?.take(user.principal.name) ?? 0;
    if (wait > 0) throw new Throttled('request.too-many', wait, { what: 'too many requests' });
    const form = parseForm(contentType, bytes);
    const op = queryOp ?? opOf(form.entries) ?? route.op;
    const action = actionOf(route.handler, method, op);
    return { action, user, fields: fieldsOf(query, form), bytes };
  };

  /** Reads the body of somebody known only; where the signature covers it, a smaller one. */
  const authenticate = async (
    req: IncomingMessage,
    address: Address,
    query: readonly Entry[],
  ): Promise<{ readonly user: MaasUser; readonly bytes: Buffer }> => {
    const request = { method: req.method ?? '', url: `${address.origin}${address.path}?${address.query}` };
    const urlencoded = formKind(contentTypeOf(req)) === 'urlencoded';
    const bodyOf = (bytes: number, budget: ByteBudget | undefined): Promise<Buffer> =>
      req.method === 'GET'
        ? Promise.resolve(Buffer.alloc(0))
        : readBody(req, { bytes, timeout: limits.bodyTimeout, budget });
    const begin = (values: OAuthValues): Promise<PendingSignature> =>
      authentication.begin(values, sourceOf(req));

    const values = fromHeader(req.headers.authorization ?? '') ?? fromFields(query);
    if (values) {
      const pending = await begin(values);
      if (pending.needsBody && urlencoded) {
        const bytes = await bodyOf(limits.signedBody, budgets?.known);
        return {
          user: await pending.finish({ ...request, bodyFields: queryEntries(bytes.toString()) }),
          bytes,
        };
      }
      const user = await pending.finish({ ...request, bodyFields: [] });
      return { user, bytes: await bodyOf(limits.body, budgets?.known) };
    }
    authentication.refuseThrottled(sourceOf(req));
    if (!urlencoded) throw unsigned();
    const bytes = await bodyOf(limits.unsignedBody, budgets?.unknown);
    const bodyFields = queryEntries(bytes.toString());
    const inBody = fromFields(bodyFields);
    if (!inBody) throw unsigned();
    return { user: await (await begin(inBody)).finish({ ...request, bodyFields }), bytes };
  };

  return (req, res) => {
    res.setHeader('x-content-type-options', 'nosniff');
    serve(req, res).catch((thrown: unknown) => {
      const refusal = asMaasRefusal(thrown);
      const { path = '' } = { path: (req.url ?? '').split('?')[0] };
      if (thrown instanceof ClientGone) log.info({ path }, 'MAAS client went away');
      else if (refusal.status >= 500) log.error({ err: thrown, path }, 'MAAS request failed');
      else if (refusal.status === 401 || refusal.status === 403 || refusal.status === 429)
        log.warn({ path, from: sourceOf(req), status: refusal.status }, 'MAAS request refused');
      if (res.headersSent || res.destroyed) {
        res.destroy();
        return;
      }
      if (!req.complete) letRunDry(req, res, limits.lingering);
      if (refusal instanceof WrongMethod) {
        res.writeHead(405, { allow: refusal.allow.join(', '), 'content-length': 0 }).end();
        return;
      }
      sendRefusal(res, refusal);
    });
  };
}

/** An address of the API that is none. Also for what is outside it. */
function unknownPath(path: string): MaasRefusal {
  return new MaasRefusal(404, `Unknown API endpoint: ${path.slice(0, 500)}.`);
}

function allow(req: IncomingMessage, method: string): void {
  if (req.method !== method) throw new WrongMethod([method]);
}

function actionOf(handler: MaasHandler, method: string, op: string | null): MaasAction {
  const allowed = allowedMethods(handler);
  if (!allowed.includes(method)) throw new WrongMethod(allowed);
  const action = findAction(handler, method, op);
  if (action) return action;
  throw new MaasRefusal(400, `Unrecognised signature: method=${method} op=${op?.slice(0, 100) ?? 'None'}`);
}

/** An operation that is named; an empty one is none. */
function opOf(entries: readonly Entry[]): string | null {
  return entries.findLast(([name]) => name === 'op')?.[1] || null;
}

function fieldsOf(query: readonly Entry[], form: ReturnType<typeof parseForm>): Fields {
  const entries = [...query, ...form.entries].filter(([name]) => name !== 'op' && !isOAuthName(name));
  if (!entries.flat().every(isStorable))
    throw new MaasRefusal(400, 'Bad Request: a field holds a character that is none.');
  return new Fields(entries, form.files);
}

/** Neither NUL, which no database keeps in a text, nor half a surrogate pair, which is no character. */
function isStorable(text: string): boolean {
  return !text.includes('\0') && !/\p{Surrogate}/u.test(text);
}

function paramOf(route: MaasRoute, name: string): string {
  const value = route.params[name];
  if (value === undefined) throw new Error(`the path of ${route.handler.name} has no {${name}}`);
  return value;
}

const nobody: MaasUser = {
  principal: { name: '', role: 'viewer', scope: '' },
  isAdmin: false,
  asker: (reason = '') => ({ principal: '', door: 'maas', reason, role: 'viewer', scope: '' }),
};

function contentTypeOf(req: IncomingMessage): string {
  return req.headers['content-type'] ?? '';
}

function sourceOf(req: IncomingMessage): string {
  return peerOf(req.socket.remoteAddress);
}

/** An answer before the body's end: the rest is read and thrown away, so that the answer is heard, but not for ever. */
function letRunDry(req: IncomingMessage, res: ServerResponse, time: Duration): void {
  res.setHeader('connection', 'close');
  if (req.socket.destroyed) return;
  req.resume();
  limitRest(req, time);
}
