import { randomBytes } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { setMaxListeners } from 'node:events';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { milliseconds, type Clock } from '../../plugin-api/index.ts';
import { decodeAsfPing, encodeAsfPong } from '../../src/wire/rmcp/asf-ping.ts';
import type { ChassisAction } from '../../src/wire/rmcp/command/chassis-control.ts';
import { completionCode } from '../../src/wire/rmcp/completion-code.ts';
import { decodeIpmiRequest, encodeIpmiResponse } from '../../src/wire/rmcp/ipmi-message.ts';
import { MalformedPacket } from '../../src/wire/rmcp/malformed-packet.ts';
import { decodeRmcp, encodeRmcp, rmcpClass } from '../../src/wire/rmcp/rmcp-header.ts';
import {
  authTypeRmcpPlus,
  decodeRmcpPlus,
  encodeUnsealed,
  payloadType,
} from '../../src/wire/rmcp/rmcp-plus.ts';
import { sealPacket, unsealPacket } from '../../src/wire/rmcp/sealed-packet.ts';
import { nextSequence } from '../../src/wire/rmcp/sequence-window.ts';
import { decodeSession15, encodeSession15 } from '../../src/wire/rmcp/session15.ts';
import { noFaults, type BmcBehaviours } from './bmc-behaviours.ts';
import { runCommand, type BmcInside } from './bmc-commands.ts';
import type { BmcHost, HostBoot } from './bmc-host.ts';
import { defaultTraits, type BmcTraits } from './bmc-options.ts';
import { BmcSessions, type ActiveSession } from './bmc-sessions.ts';
import { BootFlagStore } from './boot-flag-store.ts';
import { encodeSelRecord } from '../../src/wire/rmcp/sel-record.ts';
import { encodeSensorRecord } from '../../src/wire/rmcp/sdr-record.ts';
import { LabSol, type LabSerial } from './lab-sol.ts';
import { RecordStore } from './record-store.ts';
import { seededRandom } from './seeded-random.ts';

export interface LabBmcOptions {
  readonly host: BmcHost;
  readonly traits?: Partial<BmcTraits>;
  readonly behaviours?: Partial<BmcBehaviours>;
  readonly clock?: Clock;
  /** The host's serial line; without one the BMC has no Serial over LAN. */
  readonly serial?: LabSerial;
  /** Of the faults that happen by chance. */
  readonly seed?: number;
}

/** One chassis control as it arrived, in order: shows a command that was carried out twice. */
export interface ControlRecord {
  readonly action: ChassisAction;
  /** User of the session. */
  readonly by: string;
  readonly completion: number;
  /** Whether the host was told. */
  readonly effective: boolean;
  /** What a start booted from. */
  readonly boot: HostBoot | null;
}

/** One command as it came: network function and number, as in `0.2` for Chassis Control. */
export interface HeardCommand {
  readonly key: string;
  readonly data: Buffer;
  /** UDP port of the other end. */
  readonly from: number;
}

/** Counters of odd things (a client's fault when above 0) and of session traffic, by name. */
export type BmcCounters = Readonly<Record<string, number>>;

type Answer = (message: Buffer) => void;

const nothing: HostBoot = { device: 'none', efi: false };

/** A simulated BMC over UDP: IPMI 2.0 with cipher suites 3 and 17, boot flags, privileges, few sessions, and faults on demand. */
export class LabBmc {
  readonly #host: BmcHost;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #sessions: BmcSessions;
  readonly #flags: BootFlagStore;
  readonly #inside: BmcInside;
  readonly #log: ControlRecord[] = [];
  readonly #listeners = new Set<(command: HeardCommand) => void>();
  /** UDP port of whoever sent the packet that is at work. */
  #from = 0;
  readonly #counters: Record<string, number> = {};
  #traits: BmcTraits;
  #behaviours: BmcBehaviours;
  readonly #sol: LabSol | null;
  /** How to reach the other end of each session. */
  readonly #replies = new Map<number, Answer>();
  #socket: Socket | null = null;
  #stopping = new AbortController();
  #previousAnswer: Buffer | null = null;

  constructor(options: LabBmcOptions) {
    this.#host = options.host;
    this.#clock = options.clock ?? new SystemClock();
    this.#random = seededRandom(options.seed ?? 1);
    this.#traits = { ...defaultTraits, guid: randomBytes(16), ...options.traits };
    this.#behaviours = { ...noFaults, ...options.behaviours };
    this.#flags = new BootFlagStore(this.#clock);
    const traits = (): BmcTraits => this.#traits;
    const behaviours = (): BmcBehaviours => this.#behaviours;
    const count = (what: string): void => this.#count(what);
    this.#sessions = new BmcSessions(this.#clock, { traits, behaviours, count });
    this.#sol = options.serial ? new LabSol(options.serial, this.#clock) : null;
    this.#inside = {
      sol: this.#sol,
      port: () => this.#socket?.address().port ?? 0,
      sendSol: (session) => (payload) =>
        this.#replies.get(session.id)?.(this.#sealed(session, payloadType.sol, payload)),
      traits,
      behaviours,
      flags: this.#flags,
      eventLog: new RecordStore(
        this.#traits.eventLog.map((record) => ({ id: record.id, bytes: encodeSelRecord(record) })),
      ),
      sensorRecords: new RecordStore(
        this.#traits.sensors.map(({ record }, i) => ({
          id: i + 1,
          bytes: encodeSensorRecord(i + 1, record),
        })),
      ),
      powerOn: () => this.#host.power() === 'on',
      control: (action, by) => this.#control(action, by),
      dropSession: (id) => {
        this.#sol?.sessionEnded(id);
        return this.#sessions.drop(id);
      },
    };
  }

  /** Every chassis control since the start, in order. */
  get log(): readonly ControlRecord[] {
    return this.#log;
  }

  /** Calls `listener` with each command that comes in a session, before it is answered; the returned function ends it. */
  onCommand(listener: (command: HeardCommand) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get counters(): BmcCounters {
    return this.#counters;
  }

  get behaviours(): BmcBehaviours {
    return this.#behaviours;
  }

  /** Sessions in use, half-open ones included. */
  get sessionsUsed(): number {
    return this.#sessions.used;
  }

  /** The five boot flag bytes as they stand now. */
  get bootFlags(): Buffer {
    return this.#flags.read(this.#traits);
  }

  /** Changes faults; what is not named stays. */
  behave(changes: Partial<BmcBehaviours>): void {
    this.#behaviours = { ...this.#behaviours, ...changes };
  }

  /** Ends all faults. */
  heal(): void {
    this.#behaviours = noFaults;
  }

  /** Changes how the BMC is made: users, suites, time limits. Sessions go on. */
  remake(changes: Partial<BmcTraits>): void {
    this.#traits = { ...this.#traits, ...changes };
  }

  /** Forgets every session without a word, as a restarting BMC does. */
  dropSessions(): void {
    this.#sessions.dropAll();
    this.#sol?.forgotten();
  }

  /** Begins to listen on loopback. Port 0 = any free one. */
  async listen(
    port = 0,
    address = '127.0.0.1',
  ): Promise<{ readonly address: string; readonly port: number }> {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, address, () => {
        socket.off('error', reject);
        resolve();
      });
    });
    socket.on('message', (bytes, peer) => this.#receive(bytes, peer));
    // A client that is gone shows up as an error of a later send: no matter to a BMC.
    socket.on('error', () => this.#count('socketError'));
    this.#socket = socket;
    this.#stopping = new AbortController();
    // Each delayed answer listens to it.
    setMaxListeners(0, this.#stopping.signal);
    return { address, port: socket.address().port };
  }

  /** Stops listening; answers that are still delayed are not sent. Idempotent. */
  async close(): Promise<void> {
    this.#stopping.abort(new Error('BMC closed'));
    const socket = this.#socket;
    this.#socket = null;
    if (socket) await new Promise<void>((resolve) => socket.close(() => resolve()));
  }

  #receive(bytes: Buffer, peer: RemoteInfo): void {
    this.#count('received');
    if (this.#behaviours.dead || this.#chance(this.#behaviours.dropIn)) return;
    try {
      this.#packet(bytes, peer);
    } catch (error) {
      if (!(error instanceof MalformedPacket)) throw error;
      this.#count('malformed');
    }
  }

  #packet(bytes: Buffer, peer: RemoteInfo): void {
    const { messageClass, body } = decodeRmcp(bytes);
    this.#from = peer.port;
    if (messageClass === rmcpClass.asf) {
      const pong = encodeAsfPong({ tag: decodeAsfPing(body), ipmi: true });
      return this.#answer(encodeRmcp({ messageClass: rmcpClass.asf, body: pong }), peer);
    }
    const reply = (answer: Buffer): void =>
      this.#answer(encodeRmcp({ messageClass: rmcpClass.ipmi, body: answer }), peer);
    if (body[0] !== authTypeRmcpPlus)
      return this.#message(decodeSession15(body), null, (message) => reply(encodeSession15(message)));

    const packet = decodeRmcpPlus(body);
    if (packet.sessionId !== 0) return this.#sessionPacket(body, packet.sessionId, reply);
    switch (packet.payloadType) {
      case payloadType.ipmi:
        return this.#message(packet.payload, null, (message) =>
          reply(encodeUnsealed(payloadType.ipmi, message)),
        );
      case payloadType.openSessionRequest:
        return reply(
          encodeUnsealed(payloadType.openSessionResponse, this.#sessions.openSession(packet.payload)),
        );
      case payloadType.rakp1:
        return reply(encodeUnsealed(payloadType.rakp2, this.#sessions.rakp1(packet.payload)));
      case payloadType.rakp3: {
        const rakp4 = this.#sessions.rakp3(packet.payload);
        return rakp4 === null ? undefined : reply(encodeUnsealed(payloadType.rakp4, rakp4));
      }
      default:
        this.#count('malformed');
    }
  }

  #sessionPacket(body: Buffer, id: number, reply: Answer): void {
    const session = this.#sessions.active(id);
    if (!session) return this.#count('unknownSession');
    const packet = unsealPacket(session.keys, body);
    if (!session.window.accept(packet.sequence)) return this.#count('outOfWindow');
    this.#replies.set(id, reply);
    if (packet.payloadType === payloadType.sol) return this.#sol?.hear(id, packet.payload);
    if (packet.payloadType !== payloadType.ipmi) return this.#count('malformed');
    this.#message(packet.payload, session, (payload) =>
      reply(this.#sealed(session, payloadType.ipmi, payload)),
    );
  }

  #sealed(session: ActiveSession, type: number, payload: Buffer): Buffer {
    session.sequence = nextSequence(session.sequence);
    const packet = { payloadType: type, sessionId: session.clientId, sequence: session.sequence, payload };
    return sealPacket(session.keys, packet, randomBytes(16));
  }

  #message(bytes: Buffer, session: ActiveSession | null, answer: Answer): void {
    const request = decodeIpmiRequest(bytes);
    const key = `${request.netFn}.${request.command}`;
    this.#count(`command ${key}`);
    if (!session && key === '6.84' && this.#behaviours.muteCipherSuites) return;
    const { completion, data } = this.#run(key, request.data, session);
    const heard = { key, data: request.data, from: this.#from };
    if (session) for (const listener of this.#listeners) listener(heard);
    if (session && this.#behaviours.mute.includes(key)) return;
    answer(encodeIpmiResponse({ ...request, completion, data }));
  }

  #run(
    key: string,
    data: Buffer,
    session: ActiveSession | null,
  ): { readonly completion: number; readonly data: Buffer } {
    const fail = (completion: number) => ({ completion, data: Buffer.alloc(0) });
    const { busy, completion } = this.#behaviours;
    // Session keeping is exempt, or a busy BMC could not even be logged into.
    if (session && busy > 0 && key !== '6.59' && key !== '6.60') {
      this.behave({ busy: busy - 1 });
      return fail(completionCode.busy);
    }
    const forced = session ? completion[key] : undefined;
    if (forced !== undefined) return fail(forced);
    try {
      return runCommand(this.#inside, key, data, session);
    } catch (error) {
      if (!(error instanceof MalformedPacket)) throw error;
      return fail(completionCode.invalidField);
    }
  }

  #control(action: ChassisAction, by: string): number {
    this.#flags.restartExpiry();
    const on = this.#host.power() === 'on';
    const completion = this.#fits(action, on);
    const { withoutEffect, softIgnored } = this.#behaviours;
    const swallowed = withoutEffect > 0 || (action === 'soft' && softIgnored);
    if (withoutEffect > 0) this.behave({ withoutEffect: withoutEffect - 1 });
    // "On" acts on a host that is off, everything else on one that is on.
    const effective =
      completion === completionCode.ok && !swallowed && action !== 'diagnostic' && on === (action !== 'on');
    const starts = action === 'on' || action === 'cycle' || action === 'reset';
    const boot = effective && starts ? this.#flags.consume(this.#traits) : null;
    this.#log.push({ action, by, completion, effective, boot });
    if (effective) this.#host.control(action, boot ?? nothing);
    return completion;
  }

  #fits(action: ChassisAction, on: boolean): number {
    const traits = this.#traits;
    if (on) return action === 'on' ? traits.onWhenOn : completionCode.ok;
    if (action === 'off') return traits.offWhenOff;
    if (action === 'cycle') return traits.cycleWhenOff;
    return action === 'reset' ? traits.resetWhenOff : completionCode.ok;
  }

  #answer(bytes: Buffer, peer: RemoteInfo): void {
    const { staleFirst, dropOut, dupOut } = this.#behaviours;
    const previous = this.#previousAnswer;
    this.#previousAnswer = bytes;
    if (this.#chance(dropOut)) return this.#count('answersDropped');
    if (staleFirst && previous) this.#send(previous, peer);
    this.#send(bytes, peer);
    if (this.#chance(dupOut)) this.#send(bytes, peer);
  }

  #send(bytes: Buffer, peer: RemoteInfo): void {
    const { delayMs, jitterMs } = this.#behaviours;
    const now = (): void => this.#socket?.send(bytes, peer.port, peer.address);
    const delay = delayMs + jitterMs * this.#random();
    if (delay === 0) return now();
    // Cut by close(): the answer is lost then.
    this.#clock.sleep(milliseconds(delay), this.#stopping.signal).then(now, () => undefined);
  }

  #chance(part: number): boolean {
    return part > 0 && this.#random() < part;
  }

  #count(what: string): void {
    this.#counters[what] = (this.#counters[what] ?? 0) + 1;
  }
}
