import { lookup } from 'node:dns/promises';
import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import {
  DeviceError,
  milliseconds,
  type BmcTarget,
  type DeviceContext,
  type Duration,
} from '../../../../plugin-api/index.ts';
import type { SuiteId } from '../../../wire/rmcp/cipher-suite.ts';
import type { CommandCodec } from '../../../wire/rmcp/command/command-codec.ts';
import { getChannelAuthCapabilities } from '../../../wire/rmcp/command/get-channel-auth-capabilities.ts';
import { getDeviceId } from '../../../wire/rmcp/command/get-device-id.ts';
import { setSessionPrivilege } from '../../../wire/rmcp/command/set-session-privilege.ts';
import { completionCode, describeCompletion } from '../../../wire/rmcp/completion-code.ts';
import { decodeIpmiResponse, encodeIpmiRequest } from '../../../wire/rmcp/ipmi-message.ts';
import { MalformedPacket } from '../../../wire/rmcp/malformed-packet.ts';
import { privilegeLevel } from '../../../wire/rmcp/privilege.ts';
import { decodeRmcp, encodeRmcp, rmcpClass } from '../../../wire/rmcp/rmcp-header.ts';
import { decodeSession15, encodeSession15 } from '../../../wire/rmcp/session15.ts';
import { startTimer } from '../../../kernel/clock/start-timer.ts';
import { answerWithin } from './answer-wait.ts';
import { BmcChannel } from './bmc-channel.ts';
import { inTurn, type BmcLine } from './bmc-line.ts';
import type { DatagramHub } from './datagram-hub.ts';
import { completionError, isBusy, mayHaveHappened, place, unreachable } from './ipmi-errors.ts';
import { IpmiSession, vary } from './ipmi-session.ts';
import type { IpmiSettings } from './ipmi-settings.ts';
import { quirksOf } from './quirks.ts';
import { setUpSession, type SetupOutcome } from './session-setup.ts';

/** What a BMC that knows IPMI 1.5 only says to the bit that asks for the data of 2.0; a BMC that starts says other things. */
const notOf20: ReadonlySet<number> = new Set([completionCode.invalidField, completionCode.invalidLength]);

/** How a command is to be carried. */
export interface CommandMode {
  /** Privilege level that it needs: 2 user, 3 operator. */
  readonly level: 2 | 3;
  /** Sent once, never retransmitted, because a second arrival would do it a second time. */
  readonly once?: boolean;
  /** Completion codes, or all, that are handed to the caller instead of thrown. */
  readonly tolerate?: ReadonlySet<number> | 'all';
}

export interface CommandAnswer {
  readonly completion: number;
  readonly data: Buffer;
}

export interface ConnectionParts {
  readonly target: BmcTarget;
  readonly line: BmcLine;
  readonly hub: DatagramHub;
  readonly settings: IpmiSettings;
  readonly context: DeviceContext;
  /** Aborted when the driver closes. */
  readonly driverClosing: AbortSignal;
  /**
   * Something lives in the session that ends with it: it is kept when idle, whatever settings and quirks say, and counts as dead only
   * after as many tries as a command gets.
   */
  readonly steady?: boolean;
}

/** The way to one BMC: sets up its session when needed, keeps or closes it when idle, and turns silence and refusals into errors. */
export class IpmiConnection {
  readonly #parts: ConnectionParts;
  /** The BMC's address where it is not given by name. */
  readonly #literal: string | null;
  #session: IpmiSession | null = null;
  /** Kept from session to session, as long as the BMC has the same address. */
  #channel: { readonly address: string; readonly at: BmcChannel } | null = null;
  #suite: SuiteId | null = null;
  /** Ends the wait for idleness; null = none runs. */
  #stopIdleWait: (() => void) | null = null;
  #lastUsed = 0;
  #manufacturer: number | null = null;
  /** Milliseconds, by setting or quirk. */
  #commandPause = 0;
  #closesIdle = true;
  #nextCommandAt = 0;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#literal = literalAddress(parts.target.host);
    this.#obeyQuirks();
  }

  /** Called when a session turned out to be dead. */
  onLost: () => void = () => undefined;

  /** IANA enterprise number of the BMC's maker, once it told it while its session was kept alive. */
  get manufacturer(): number | null {
    return this.#manufacturer;
  }

  /** The present session. */
  get session(): IpmiSession | null {
    return this.#session;
  }

  /** Cipher suite of the present or last session, null before the first. */
  get suite(): SuiteId | null {
    return this.#suite;
  }

  /** Runs a call with a signal that follows the caller's and the driver's end. @throws the caller's reason when it aborted */
  guarded<T>(outer: AbortSignal | undefined, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { driverClosing } = this.#parts;
    const ended = driverClosing.aborted ? driverClosing : outer?.aborted ? outer : null;
    if (ended) return Promise.reject(ended.reason as Error);
    return outer === undefined ? task(driverClosing) : this.#guarded(outer, task);
  }

  async #guarded<T>(outer: AbortSignal, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { driverClosing } = this.#parts;
    const controller = new AbortController();
    const follow = (event: Event): void => controller.abort((event.target as AbortSignal).reason);
    outer.addEventListener('abort', follow);
    driverClosing.addEventListener('abort', follow);
    try {
      return await task(controller.signal);
    } catch (error) {
      if (controller.signal.aborted) throw controller.signal.reason;
      throw error;
    } finally {
      outer.removeEventListener('abort', follow);
      driverClosing.removeEventListener('abort', follow);
    }
  }

  /**
   * Sends a command and decodes its answer.
   * @throws DeviceError `power.*`, or the signal's reason
   */
  async run<Request, Response>(
    codec: CommandCodec<Request, Response>,
    request: Request,
    mode: CommandMode,
    signal: AbortSignal,
  ): Promise<Response> {
    const { data } = await this.exchange(codec, request, mode, signal);
    return this.decode(() => codec.decodeResponse(data), codec.name);
  }

  /** Like {@link run}, without decoding, for commands whose refusals matter to the caller. */
  async exchange<Request>(
    codec: CommandCodec<Request, unknown>,
    request: Request,
    mode: CommandMode,
    signal: AbortSignal,
  ): Promise<CommandAnswer> {
    const { line, settings, context, target } = this.#parts;
    let retries = settings.busyRetries;
    let unspecifiedSeen = false;
    for (;;) {
      const { answered, answer } = await inTurn(
        line.commands,
        () => this.#attempt(codec, request, mode, signal),
        signal,
      );
      const { completion } = answer;
      if (completion === completionCode.ok) return answer;
      const ownAnswer = answered === codec.name;
      if (ownAnswer && (mode.tolerate === 'all' ? !isBusy(completion) : mode.tolerate?.has(completion)))
        return answer;
      if (ownAnswer && mode.once && mayHaveHappened(completion))
        throw this.#outcomeUnknown(codec.name, describeCompletion(completion));
      const firstUnspecified: boolean = completion === completionCode.unspecified && !unspecifiedSeen;
      unspecifiedSeen ||= firstUnspecified;
      if ((!isBusy(completion) && !firstUnspecified) || retries === 0)
        throw completionError(target, answered, completion);
      retries -= 1;
      await context.clock.sleep(settings.busyPause, signal);
    }
  }

  /** @throws DeviceError `power.protocol` for an answer that cannot be read */
  decode<T>(read: () => T, name: string): T {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof MalformedPacket)) throw error;
      throw new DeviceError({
        code: 'power.protocol',
        what: `the answer to ${name} cannot be read`,
        where: place(this.#parts.target),
        said: error.message,
        cause: error,
      });
    }
  }

  /** Closes the session after the commands that wait already. */
  async close(): Promise<void> {
    await this.#parts.line.commands.run(() => this.endSession());
  }

  /** Closes the session now; only for whoever has the line's turn. */
  async endSession(): Promise<void> {
    const session = this.#session;
    this.#forget();
    await session?.close(this.#parts.settings.closeTimeout);
  }

  /** Sends a last command in this session; nothing where it is over, because another session is not meant. */
  async lastWord<Request>(
    session: IpmiSession,
    codec: CommandCodec<Request, unknown>,
    request: Request,
  ): Promise<void> {
    await this.#parts.line.commands.run(async () => {
      if (this.#session === session)
        await session.request(codec, request, [this.#parts.settings.closeTimeout]);
    });
  }

  /** Leaves the BMC to somebody else; only for whoever has the line's turn. */
  async leave(): Promise<void> {
    await this.endSession();
    this.#channel?.at.close();
    this.#channel = null;
    this.#parts.line.onLeft();
  }

  /** One try in a session: a new one, or the present one and, if that is silent, once a new one. */
  async #attempt<Request>(
    codec: CommandCodec<Request, unknown>,
    request: Request,
    mode: CommandMode,
    signal: AbortSignal,
  ): Promise<{ readonly answered: string; readonly answer: CommandAnswer }> {
    const { line, settings, context } = this.#parts;
    const clock = context.clock;
    if (line.holder !== this) {
      await line.holder?.leave();
      line.holder = this;
    }
    const pause = milliseconds(this.#nextCommandAt - clock.monotonic());
    if (this.#commandPause > 0 && pause > 0) await clock.sleep(pause, signal);
    try {
      for (;;) {
        const fresh = this.#session === null;
        const session = (this.#session ??= await this.#establish(signal));

        const needsMore = session.level < mode.level;
        const raised = needsMore
          ? await this.#raise(session, mode.level, settings.answerTimeouts, signal)
          : null;
        const sent = session.level >= mode.level;
        const asked = sent ? codec.name : setSessionPrivilege.name;
        const timeouts = mode.once ? [settings.onceTimeout] : settings.answerTimeouts;
        // Operator commands change something; a repetition after a long sleep of this process may come when it may not any more.
        const guard = mode.level >= 3 ? () => context.mayChange?.() : undefined;
        const answer = sent ? await session.request(codec, request, timeouts, signal, guard) : raised;
        if (answer !== null) return { answered: asked, answer };

        // BMCs drop idle sessions without a word, so silence on an old one says nothing about the BMC.
        const trouble = session.channel.lastTrouble;
        this.#forget();
        session.abandon();
        if (sent && mode.once) throw this.#outcomeUnknown(asked, 'nothing');
        if (fresh)
          throw unreachable(
            this.#parts.target,
            `a session was set up, but ${asked} got no answer in ${settings.answerTimeouts.length} tries`,
            trouble,
          );
      }
    } finally {
      this.#nextCommandAt = clock.monotonic() + this.#commandPause;
      this.#watchIdle();
    }
  }

  /** Raises the session to the level that a command needs. */
  async #raise(
    session: IpmiSession,
    level: number,
    timeouts: readonly Duration[],
    signal: AbortSignal,
  ): Promise<CommandAnswer | null> {
    const { target } = this.#parts;
    const wanted = Math.max(level, privilegeLevel[target.privilege ?? 'operator']);
    const answer = await session.request(setSessionPrivilege, { level: wanted }, timeouts, signal);
    if (answer === null) return null;
    const { completion } = answer;
    if (
      completion === completionCode.privilegeNotAvailable ||
      completion === completionCode.privilegeExceedsLimit
    )
      throw new DeviceError({
        code: 'power.privilege',
        what: `user "${target.username}" may not have the privilege level ${wanted === 4 ? 'administrator' : 'operator'}`,
        where: place(target),
        said: describeCompletion(completion),
      });
    if (completion === completionCode.ok) session.level = wanted;
    return answer;
  }

  #outcomeUnknown(command: string, said: string): DeviceError {
    return new DeviceError({
      code: 'power.outcome-unknown',
      what: `${command} was sent once and may or may not have been carried out`,
      where: place(this.#parts.target),
      said,
    });
  }

  async #establish(signal: AbortSignal): Promise<IpmiSession> {
    const { settings, context } = this.#parts;
    const address = this.#literal ?? (await this.#lookUp(signal));
    let retries = settings.slotRetries;
    for (;;) {
      signal.throwIfAborted();
      try {
        return await this.#establishWith(this.#channelTo(address), signal);
      } catch (error) {
        if (!(error instanceof DeviceError) || error.code !== 'power.busy' || retries === 0) throw error;
        retries -= 1;
      }
      await context.clock.sleep(settings.slotPause, signal);
    }
  }

  #channelTo(address: string): BmcChannel {
    if (this.#channel?.address !== address) {
      const { hub, context, target } = this.#parts;
      this.#channel?.at.close();
      this.#channel = { address, at: new BmcChannel(hub, context.clock, address, target.port) };
    }
    return this.#channel.at;
  }

  async #establishWith(channel: BmcChannel, signal: AbortSignal): Promise<IpmiSession> {
    const { target } = this.#parts;
    let refusal: DeviceError | null = null;
    const suites = this.#acceptableSuites();
    for (const suite of suites) {
      const outcome = await this.#trySuite(channel, suite, signal);
      if (outcome.kind === 'established') {
        this.#suite = suite;
        return new IpmiSession(channel, outcome.session, this.#parts.settings.jitter);
      }
      if (outcome.kind === 'silent') throw await this.#whySilent(channel, outcome.after, signal);
      refusal = outcome.error;
    }
    const before = target.knownSuite === 17 || this.#suite === 17 ? ', which it took before' : '';
    throw new DeviceError({
      code: 'power.suite',
      what: `the BMC takes no cipher suite of ${suites.join(', ')}${before}`,
      where: place(target),
      said: refusal?.said ?? refusal?.what,
    });
  }

  /** 17 first, then 3 where that is allowed; a BMC that was seen with 17 is never again talked to with less. */
  #acceptableSuites(): readonly SuiteId[] {
    const { target } = this.#parts;
    if (target.minSuite === 17 || target.knownSuite === 17 || this.#suite === 17) return [17];
    // What spoke 3 may since have been told to take 17 only.
    return this.#suite === 3 ? [3, 17] : [17, 3];
  }

  async #trySuite(channel: BmcChannel, suite: SuiteId, signal: AbortSignal): Promise<SetupOutcome> {
    const { settings, target } = this.#parts;
    let outcome: SetupOutcome = { kind: 'silent', after: 'Open Session' };
    for (const time of settings.answerTimeouts) {
      outcome = await setUpSession(channel, target, suite, vary(time, settings.jitter), signal);
      if (outcome.kind !== 'silent') break;
    }
    return outcome;
  }

  /** Finds out, at first contact, whether there is a BMC at all behind the silence. */
  async #whySilent(
    channel: BmcChannel,
    after: 'Open Session' | 'RAKP 1' | 'RAKP 3',
    signal: AbortSignal,
  ): Promise<DeviceError> {
    const { target, settings } = this.#parts;
    if (after !== 'Open Session')
      return new DeviceError({
        code: 'power.unreachable',
        what: `Open Session was answered, ${after} was not`,
        where: place(target),
        said: channel.lastTrouble ?? undefined,
        remedy:
          'check the network for loss, and user and password: some BMCs are silent when these are wrong',
      });
    const message = encodeIpmiRequest({
      netFn: getChannelAuthCapabilities.netFn,
      command: getChannelAuthCapabilities.command,
      rqSeq: 0,
      data: getChannelAuthCapabilities.encodeRequest({ extended: true, privilege: privilegeLevel.user }),
    });
    const answer = await channel.ask(
      encodeRmcp({ messageClass: rmcpClass.ipmi, body: encodeSession15(message) }),
      (bytes) => {
        const response = decodeIpmiResponse(decodeSession15(decodeRmcp(bytes).body));
        return response.command === getChannelAuthCapabilities.command ? response : undefined;
      },
      settings.answerTimeouts[0]!,
      signal,
    );
    if (answer === null) return unreachable(target, 'no answer from the BMC', channel.lastTrouble);
    const { completion, data } = answer;
    const ok = completion === completionCode.ok;
    const codec = getChannelAuthCapabilities;
    const only15 = ok
      ? !this.decode(() => codec.decodeResponse(data), codec.name).ipmi20
      : notOf20.has(completion);
    return only15
      ? new DeviceError({
          code: 'power.suite',
          what: 'the BMC speaks IPMI 1.5 only, which neither encrypts nor protects the password',
          where: place(target),
          remedy: 'update its firmware, or enable IPMI 2.0 (RMCP+) on it',
        })
      : unreachable(
          target,
          'the BMC answers discovery, but not the opening of a session',
          ok ? channel.lastTrouble : describeCompletion(completion),
        );
  }

  async #lookUp(signal: AbortSignal): Promise<string> {
    const { target, context, settings } = this.#parts;
    const found = lookup(target.host).then(
      ({ address }) => ({ address, said: null }),
      (error: unknown) => ({ address: null, said: error instanceof Error ? error.message : String(error) }),
    );
    const result = await answerWithin(context.clock, found, settings.lookupTimeout, signal);
    if (result?.address) return result.address;
    throw unreachable(target, 'the name of the BMC has no address', result?.said ?? null);
  }

  #forget(): void {
    this.#stopIdleWait?.();
    this.#stopIdleWait = null;
    this.#session = null;
  }

  /** One command, usually asked once: a session that is not answered any more is given up, and the next command sets up a new one. */
  async #keepAlive(session: IpmiSession): Promise<void> {
    const { settings, steady, driverClosing } = this.#parts;
    const times = steady ? settings.answerTimeouts : settings.answerTimeouts.slice(0, 1);
    const answer = await session.request(getDeviceId, undefined, times, driverClosing);
    if (answer !== null) {
      this.#learnMaker(answer);
      if (this.#closesIdle) await this.endSession();
      else this.#watchIdle();
      return;
    }
    this.#forget();
    session.abandon();
    this.onLost();
  }

  /** The answer that keeps the session alive also tells who made the BMC. */
  #learnMaker(answer: CommandAnswer): void {
    if (answer.completion !== completionCode.ok || this.#manufacturer !== null) return;
    this.#manufacturer = this.decode(
      () => getDeviceId.decodeResponse(answer.data),
      getDeviceId.name,
    ).manufacturer;
    this.#obeyQuirks();
  }

  #obeyQuirks(): void {
    const { steady } = this.#parts;
    const { commandPause, idle, quirks } = this.#parts.settings;
    const found = quirksOf(this.#manufacturer, quirks);
    this.#commandPause = Math.max(commandPause, ...found.map((quirk) => quirk.commandPause ?? 0));
    this.#closesIdle = !steady && (idle === 'close' || found.some(({ closesIdle }) => closesIdle));
  }

  /**
   * Starts the wait after which an unused session is closed or, by setting, kept alive by a command. One wait runs for a
   * session; when it ends too early because the session was used meanwhile, it goes on for the rest.
   */
  #watchIdle(): void {
    const { settings, context } = this.#parts;
    this.#lastUsed = context.clock.monotonic();
    if (this.#session !== null) this.#stopIdleWait ??= this.#idleWait(this.#session, settings.idleAfter);
  }

  #idleWait(session: IpmiSession, time: Duration): () => void {
    const { settings, context, line, target } = this.#parts;
    return startTimer(context.clock, time, () => {
      const left = this.#lastUsed + settings.idleAfter - context.clock.monotonic();
      if (left > 0) {
        this.#stopIdleWait = this.#idleWait(session, milliseconds(left));
        return;
      }
      this.#stopIdleWait = null;
      line.commands
        .run(async () => {
          if (this.#session !== session || this.#stopIdleWait !== null) return;
          if (this.#closesIdle) await this.endSession();
          else await this.#keepAlive(session);
        })
        .catch((error: unknown) => {
          const reason = error instanceof Error ? error.message : String(error);
          context.log('debug', 'IPMI session lost while idle', { bmc: place(target), reason });
        });
    });
  }
}

/** In the form in which the answers' addresses are written, or they would not be recognised; null = this is a name. */
function literalAddress(host: string): string | null {
  if (isIPv4(host)) return host;
  return isIPv6(host) ? new SocketAddress({ address: host, family: 'ipv6' }).address : null;
}
