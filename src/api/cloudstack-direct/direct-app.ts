import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import {
  CodedError,
  minutes,
  seconds,
  type Clock,
  type Duration,
  type Secret,
} from '../../../plugin-api/index.ts';
import { withDeadline } from '../../kernel/concurrency/deadline.ts';
import { orAborted } from '../../kernel/concurrency/or-aborted.ts';
import { FailureLimit, type FailureLimitOptions } from '../../kernel/concurrency/failure-limit.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';
import { Throttled } from '../../kernel/errors/throttled.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { ByteBudget } from '../../kernel/net/byte-budget.ts';
import { peerOf } from '../../kernel/net/peer-address.ts';
import { readBytes, type BodyFault } from '../../kernel/net/read-bytes.ts';
import { composeBody, parseBody, type BodyEntry, type ParsedEntry } from '../../wire/cloudstack/body.ts';
import { maxBodyBytes } from '../../wire/cloudstack/limits.ts';
import { answerClass, answerEntry, stoppedAnswer } from '../../wire/cloudstack/message/answer.ts';
import { pingRoutingCommand, type PowerReport } from '../../wire/cloudstack/message/ping-routing-command.ts';
import { readyCommandClass } from '../../wire/cloudstack/message/ready-command.ts';
import { shutdownCommandClass } from '../../wire/cloudstack/message/shutdown-command.ts';
import {
  startupRoutingCommand,
  type HostFacts,
} from '../../wire/cloudstack/message/startup-routing-command.ts';
import { AnswerMemory } from './answer-memory.ts';

/** A machine as a host of CloudStack's direct-connect resource. */
export interface DirectHost {
  readonly machineId: string;
  readonly hostname: string;
  /** CloudStack's id of the host where it was told, else null. */
  readonly hostId: bigint | null;
  /** Null before the machine is commissioned: a host without CPUs and memory would be planned wrongly. */
  readonly facts: HostFacts | null;
}

export interface DirectAppOptions {
  readonly token: Secret;
  /** The one machine that `{id}` names, or null. */
  readonly host: (id: string) => Promise<DirectHost | null>;
  /** Carries one command out, as the agent's link does. Never rejects. */
  readonly execute: (
    machineId: string,
    entry: ParsedEntry & { readonly sequence?: string | undefined },
  ) => Promise<{ readonly entry: BodyEntry; readonly ok: boolean }>;
  /** Power of every instance of the machine; `report` null = not certain; null = its BMC cannot be read. */
  readonly power: (machineId: string) => Promise<{ readonly report: PowerReport | null } | null>;
  readonly clock: Clock;
  readonly log: Log;
  readonly settings?: Partial<DirectSettings> | undefined;
  /** Against who tries many wrong tokens; the right one is always let in: nobody can lock the cloud out. */
  readonly failures?: FailureLimitOptions;
  /** Memory for all bodies that are being read. */
  readonly bodyBudget?: ByteBudget;
}

export interface DirectSettings {
  /** A command that takes longer gets a space so often, so that nothing on the way cuts an idle connection. */
  readonly heartbeat: Duration;
  /** Longest time for a status: CloudStack pings every host in turn. */
  readonly statusTimeout: Duration;
  /** How long the answer of an ended command is kept for its repetition. */
  readonly keepAnswers: Duration;
  /** Until the body of a request must be there. */
  readonly bodyTimeout: Duration;
}

export const defaultDirectSettings: DirectSettings = {
  heartbeat: seconds(10),
  statusTimeout: seconds(5),
  keepAnswers: minutes(15),
  bodyTimeout: seconds(60),
};

/** A frame of the agent protocol has one to three commands. */
const mostCommands = 100;

const route = /^\/(?:[^?#]*\/)?cloudstack\/direct\/hosts\/([^/?#]+)\/(commands|status|startup)$/;

/** HTTP status and error of a refusal at this door. */
class Refusal extends Error {
  readonly status: number;
  readonly error: ServiceError;

  constructor(status: number, error: ServiceError) {
    super(error.message);
    this.status = status;
    this.error = error;
  }
}

/**
 * The agent protocol's commands over HTTP, for a direct-connect resource inside the management server: the contract is in
 * docs/cloudstack-adapter.md. A lost connection cancels nothing.
 */
export function directApp(options: DirectAppOptions): RequestListener {
  const { clock, log } = options;
  const failures = new FailureLimit(clock, options.failures);
  const settings = { ...defaultDirectSettings, ...options.settings };
  const memory = new AnswerMemory({ clock, keep: settings.keepAnswers });
  const expected = digest(options.token.reveal());
  /** Commands begun and ended so far, by machine: a power that was read around one is not told. */
  const commandEvents = new Map<string, number>();
  const stir = (machineId: string): void => {
    commandEvents.set(machineId, (commandEvents.get(machineId) ?? 0) + 1);
  };

  const serve = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const token = /^Bearer ([\x21-\x7e]{1,512})$/.exec(req.headers.authorization ?? '')?.[1] ?? '';
    if (!timingSafeEqual(digest(token), expected)) throw wrongToken(req);
    const [, id = '', what = ''] = route.exec(req.url ?? '') ?? [];
    if (what === '') throw notFound('there is nothing at this address');
    const method = what === 'commands' ? 'POST' : 'GET';
    if (req.method !== method)
      throw new Refusal(
        405,
        new ServiceError({ code: 'request.invalid', what: `${what} is asked by ${method}` }),
      );
    const host = await options.host(decoded(id));
    if (!host) throw notFound('no machine, or more than one, is this host');
    if (what === 'commands') await commands(host, req, res);
    else send(res, composeBody([what === 'status' ? await status(host) : startup(host)]));
  };

  const wrongToken = (req: IncomingMessage): Refusal => {
    const source = peerOf(req.socket.remoteAddress);
    const wait = failures.wait(source);
    if (wait > 0)
      return new Refusal(
        429,
        new Throttled('access.throttled', wait, { what: `too many wrong tokens came from ${source}` }),
      );
    failures.fail(source);
    return new Refusal(
      401,
      new ServiceError({ code: 'request.unauthenticated', what: 'no valid bearer token' }),
    );
  };

  const status = async (host: DirectHost): Promise<BodyEntry> => {
    const { machineId, hostname, hostId } = host;
    const before = commandEvents.get(machineId);
    const power = await withDeadline(
      clock,
      settings.statusTimeout,
      () => unavailable('its power was not read in time', hostname),
      (signal) => orAborted(options.power(machineId), signal),
    );
    if (!power) throw unavailable('its BMC cannot be read', hostname);
    const report = before === commandEvents.get(machineId) ? power.report : null;
    return pingRoutingCommand({ hostId: hostId ?? 0n, hostName: hostname, report });
  };

  const startup = ({ facts, hostId, hostname }: DirectHost): BodyEntry => {
    if (facts) return startupRoutingCommand(facts, hostId);
    throw unavailable('it is not commissioned yet', hostname);
  };

  const commands = async (host: DirectHost, req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const text = await bodyText(req, settings.bodyTimeout, options.bodyBudget);
    const entries = parsed(text);
    const requestId = req.headers['x-csbm-request-id'];
    const name = typeof requestId === 'string' ? requestId.slice(0, 64) : undefined;
    const work = (): Promise<string> =>
      carryOut(
        host.machineId,
        entries.map((entry) => ({ ...entry, sequence: name })),
      );
    const key = `${host.machineId} ${String(requestId)}`;
    const answer = requestId === undefined ? work() : memory.once(key, text, work);
    await answerSlowly(res, answer);
  };

  const carryOut = async (
    machineId: string,
    entries: readonly (ParsedEntry & { readonly sequence?: string | undefined })[],
  ): Promise<string> => {
    const answers: BodyEntry[] = [];
    let stopped = false;
    for (const entry of entries) {
      if (stopped) {
        answers.push(stoppedAnswer());
        continue;
      }
      log.debug({ machineId, command: entry.className }, 'command');
      stir(machineId);
      const answer = aboutTheLink(entry) ?? (await options.execute(machineId, entry));
      stir(machineId);
      answers.push(answer.entry);
      stopped = !answer.ok;
    }
    return composeBody(answers);
  };

  /** Headers and a sign of life go ahead of an answer that takes its time. */
  const answerSlowly = async (res: ServerResponse, answer: Promise<string>): Promise<void> => {
    const over = new AbortController();
    const gone = (): void => over.abort(new Error('the client went away'));
    res.once('close', gone);
    const beat = (async (): Promise<void> => {
      for (;;) {
        await clock.sleep(settings.heartbeat, over.signal);
        if (!res.headersSent) res.writeHead(200, { 'content-type': 'application/json' });
        res.write(' ');
      }
    })().catch(() => undefined);
    try {
      const text = await answer;
      if (res.destroyed) log.warn('the answer is kept: its client went away');
      else if (res.headersSent) res.end(text);
      else send(res, text);
    } finally {
      res.off('close', gone);
      over.abort(new Error('answered'));
      await beat;
    }
  };

  return (req, res) => {
    serve(req, res).catch((thrown: unknown) => {
      const { status: httpStatus, error } = refusalOf(thrown);
      if (httpStatus >= 500) log.warn({ code: error.code, reason: error.message }, 'direct request refused');
      if (res.headersSent || res.destroyed) {
        res.destroy();
        return;
      }
      // What is left of a body that was refused is not read.
      if (!req.complete) res.setHeader('connection', 'close');
      if (error instanceof Throttled) res.setHeader('retry-after', error.retryAfter);
      send(res, JSON.stringify({ code: error.code, message: error.message }), httpStatus);
    });
  };
}

/** What an agent answers about its own connection; here there is none. */
function aboutTheLink(entry: ParsedEntry): { readonly entry: BodyEntry; readonly ok: boolean } | null {
  const class_ =
    entry.className === readyCommandClass
      ? answerClass.ReadyAnswer
      : entry.className === shutdownCommandClass
        ? answerClass.Answer
        : null;
  return class_ === null ? null : { entry: answerEntry(class_, { result: true }), ok: true };
}

function parsed(text: string): readonly ParsedEntry[] {
  let entries: readonly ParsedEntry[];
  try {
    entries = parseBody(text);
  } catch (thrown) {
    throw malformed(asCodedError(thrown).what);
  }
  if (entries.length === 0) throw malformed('the body has no command');
  if (entries.length > mostCommands) throw malformed(`the body has more than ${mostCommands} commands`);
  return entries;
}

async function bodyText(
  req: IncomingMessage,
  timeout: Duration,
  budget: ByteBudget | undefined,
): Promise<string> {
  const encoding = req.headers['content-encoding'] ?? 'identity';
  // A small body may unpack to anything.
  if (encoding !== 'identity') throw malformed('the body has a content-encoding');
  const bytes = await readBytes(req, { bytes: maxBodyBytes, timeout, budget }, (fault) =>
    refusedBody(fault, timeout),
  );
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw malformed('the body is not UTF-8');
  }
}

function refusedBody(fault: BodyFault, timeout: Duration): Refusal {
  switch (fault) {
    case 'too-large':
      return new Refusal(
        413,
        new ServiceError({
          code: 'request.invalid',
          what: `the body is larger than ${maxBodyBytes} bytes`,
        }),
      );
    case 'cut-off':
      return malformed('the body ended in the middle');
    case 'too-slow':
      return malformed(`the body did not arrive within ${timeout / 1_000} s`);
    case 'no-room':
      return new Refusal(
        503,
        new Throttled('service.overloaded', 1_000, { what: 'too many bodies are being read' }),
      );
  }
}

function send(res: ServerResponse, text: string, status = 200): void {
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  res.end(text);
}

function decoded(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    throw malformed('the host in the address is misspelt');
  }
}

/** Hashes have one length, whatever was sent. */
function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function notFound(what: string): Refusal {
  return new Refusal(404, new ServiceError({ code: 'request.not-found', what }));
}

function malformed(what: string): Refusal {
  return new Refusal(400, new ServiceError({ code: 'request.invalid', what }));
}

function unavailable(what: string, where: string): Refusal {
  return new Refusal(503, new ServiceError({ code: 'machine.state', retry: 'later', what, where }));
}

function refusalOf(thrown: unknown): { readonly status: number; readonly error: CodedError } {
  if (thrown instanceof Refusal) return thrown;
  // Only coded errors have a text that is safe for anyone.
  if (!(thrown instanceof CodedError))
    return {
      status: 500,
      error: new ServiceError({ code: 'internal.bug', what: 'a fault of this service', cause: thrown }),
    };
  if (thrown.code === 'request.invalid') return { status: 400, error: thrown };
  return { status: thrown.retry === 'later' ? 503 : 500, error: thrown };
}
