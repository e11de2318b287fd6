import { milliseconds, type Duration } from '../../../../plugin-api/index.ts';
import { closeSession } from '../../../wire/rmcp/command/close-session.ts';
import type { CommandCodec } from '../../../wire/rmcp/command/command-codec.ts';
import { decodeIpmiResponse, encodeIpmiRequest, type IpmiResponse } from '../../../wire/rmcp/ipmi-message.ts';
import { decodeRmcp, rmcpClass } from '../../../wire/rmcp/rmcp-header.ts';
import { authTypeRmcpPlus, payloadType } from '../../../wire/rmcp/rmcp-plus.ts';
import { sealDatagram, unsealPacket } from '../../../wire/rmcp/sealed-packet.ts';
import { clientWindow, nextSequence, SequenceWindow } from '../../../wire/rmcp/sequence-window.ts';
import type { BmcChannel } from './bmc-channel.ts';
import { randomFromPool } from './random-pool.ts';
import type { SessionSecrets } from './session-secrets.ts';

/** An established session: encrypted and authenticated questions and answers, one at a time. */
export class IpmiSession {
  readonly #channel: BmcChannel;
  readonly #secrets: SessionSecrets;
  readonly #jitter: number;
  readonly #window = new SequenceWindow(clientWindow);
  #sequence = 0;
  #rqSeq = 0;
  /** The privilege level that the BMC has set; every session starts at user (2). */
  level = 2;

  /** `jitter`: part by which each wait varies. */
  constructor(channel: BmcChannel, secrets: SessionSecrets, jitter: number) {
    this.#channel = channel;
    this.#secrets = secrets;
    this.#jitter = jitter;
  }

  get suite(): 3 | 17 {
    return this.#secrets.keys.suite.id;
  }

  get channel(): BmcChannel {
    return this.#channel;
  }

  /**
   * Sends a command and waits for its answer, again for each further entry of `timeouts`. A retransmission has a new
   * session sequence number (or the BMC would drop it) and the same message number. One entry = never retransmitted.
   * @returns null when nothing came. @throws the signal's reason
   */
  async request<Request>(
    codec: CommandCodec<Request, unknown>,
    request: Request,
    timeouts: readonly Duration[],
    signal?: AbortSignal,
    beforeEach?: () => void,
  ): Promise<IpmiResponse | null> {
    const rqSeq = (this.#rqSeq = (this.#rqSeq + 1) % 64);
    const message = encodeIpmiRequest({
      netFn: codec.netFn,
      command: codec.command,
      rqSeq,
      data: codec.encodeRequest(request),
    });
    for (const time of timeouts) {
      beforeEach?.();
      const answer = await this.#channel.ask(
        this.#seal(message),
        (bytes) => {
          const response = this.#unseal(bytes);
          const ours =
            response?.rqSeq === rqSeq && response.command === codec.command && response.netFn === codec.netFn;
          return ours ? response : undefined;
        },
        vary(time, this.#jitter),
        signal,
      );
      if (answer !== null) return answer;
    }
    return null;
  }

  /** Sends a Serial over LAN payload. */
  sendSol(payload: Buffer): void {
    this.#channel.tell(this.#seal(payload, payloadType.sol));
  }

  /** Hands every Serial over LAN payload of this session to `hear`, with its session sequence number. */
  onSol(hear: (payload: Buffer, sequence: number) => void): void {
    this.#channel.listen((bytes) => {
      const { messageClass, body } = decodeRmcp(bytes);
      if (messageClass !== rmcpClass.ipmi || body[0] !== authTypeRmcpPlus || body.length < 6) return false;
      if ((body[1]! & 0x3f) !== payloadType.sol || body.readUInt32LE(2) !== this.#secrets.clientId)
        return false;
      const packet = unsealPacket(this.#secrets.keys, body);
      if (this.#window.accept(packet.sequence)) hear(packet.payload, packet.sequence);
      return true;
    });
  }

  /** Sends Close Session and waits at most `time` for the answer: a lost one costs the BMC a slot for a minute, no more. */
  async close(time: Duration): Promise<void> {
    const { bmcId } = this.#secrets;
    await this.request(closeSession, { bmcId }, [time]);
  }

  /** Gives a session up that no longer answers: the BMC is told in case that only its answers get lost. */
  abandon(): void {
    const request = { netFn: closeSession.netFn, command: closeSession.command, rqSeq: 0 };
    const data = closeSession.encodeRequest({ bmcId: this.#secrets.bmcId });
    this.#channel.tell(this.#seal(encodeIpmiRequest({ ...request, data })));
  }

  #seal(payload: Buffer, type: number = payloadType.ipmi): Buffer {
    this.#sequence = nextSequence(this.#sequence);
    const packet = { payloadType: type, sessionId: this.#secrets.bmcId, sequence: this.#sequence, payload };
    return sealDatagram(this.#secrets.keys, packet, randomFromPool(16));
  }

  /**
   * The response in a datagram of this session, or undefined. A wrong inner checksum is let through: the authentication
   * code was verified, and some firmware (Supermicro X9) computes it wrongly.
   */
  #unseal(bytes: Buffer): IpmiResponse | undefined {
    const { messageClass, body } = decodeRmcp(bytes);
    if (messageClass !== rmcpClass.ipmi || body[0] !== authTypeRmcpPlus || body.length < 6) return undefined;
    if (body.readUInt32LE(2) !== this.#secrets.clientId) return undefined;
    const packet = unsealPacket(this.#secrets.keys, body);
    if (!this.#window.accept(packet.sequence) || packet.payloadType !== payloadType.ipmi) return undefined;
    return decodeIpmiResponse(packet.payload);
  }
}

/** `time` plus or minus up to `part` of it, in a few steps: a program keeps a list for each length of its timers. */
export function vary(time: Duration, part: number): Duration {
  const steps = 8;
  const step = Math.floor(Math.random() * (steps + 1));
  return milliseconds(time * (1 + part * ((2 * step) / steps - 1)));
}
