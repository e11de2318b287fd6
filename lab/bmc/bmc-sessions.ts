import { randomBytes } from 'node:crypto';
import type { Clock } from '../../plugin-api/index.ts';
import { cipherSuites, sameAlgorithms, type CipherSuite } from '../../src/wire/rmcp/cipher-suite.ts';
import {
  decodeOpenSessionRequest,
  encodeOpenSessionResponse,
  type OpenSessionRequest,
} from '../../src/wire/rmcp/open-session.ts';
import { decodeRakp1, encodeRakp1 } from '../../src/wire/rmcp/rakp1.ts';
import { encodeRakp2 } from '../../src/wire/rmcp/rakp2.ts';
import { decodeRakp3 } from '../../src/wire/rmcp/rakp3.ts';
import { encodeRakp4 } from '../../src/wire/rmcp/rakp4.ts';
import { rmcpStatus } from '../../src/wire/rmcp/rmcp-status.ts';
import { bmcWindow, SequenceWindow } from '../../src/wire/rmcp/sequence-window.ts';
import {
  deriveSessionKeys,
  rakp2Code,
  rakp3Code,
  rakp4Check,
  sameCode,
  type RakpSecrets,
  type SessionKeys,
} from '../../src/wire/rmcp/session-keys.ts';
import type { BmcBehaviours } from './bmc-behaviours.ts';
import type { BmcTraits, BmcUser } from './bmc-options.ts';

/** A user that logged in, with the state of the session. */
export interface ActiveSession {
  readonly id: number;
  readonly clientId: number;
  readonly user: BmcUser;
  /** Highest level of this session, asked for in RAKP 1. */
  readonly limit: number;
  level: number;
  readonly keys: SessionKeys;
  readonly window: SequenceWindow;
  /** Of the last packet sent. */
  sequence: number;
}

interface Slot {
  readonly id: number;
  readonly clientId: number;
  readonly suite: CipherSuite;
  expires: number;
  /** RAKP 1 as received, and our answer to it, to be repeated when it was lost. */
  rakp2: { readonly asked: Buffer; readonly answer: Buffer } | null;
  proof: { readonly secrets: RakpSecrets; readonly user: BmcUser } | null;
  active: ActiveSession | null;
}

export interface SessionView {
  readonly traits: () => BmcTraits;
  readonly behaviours: () => BmcBehaviours;
  readonly count: (what: string) => void;
}

const userLevel = 2;

/** The BMC's end of session set-up, and its few session slots. */
export class BmcSessions {
  readonly #clock: Clock;
  readonly #view: SessionView;
  readonly #slots = new Map<number, Slot>();

  constructor(clock: Clock, view: SessionView) {
    this.#clock = clock;
    this.#view = view;
  }

  /** Sessions and half-open ones. */
  get used(): number {
    this.#reap();
    return this.#slots.size;
  }

  /** The session with this id, its timer started anew; undefined when there is none. */
  active(id: number): ActiveSession | undefined {
    this.#reap();
    const slot = this.#slots.get(id);
    if (!slot?.active) return undefined;
    slot.expires = this.#clock.monotonic() + this.#view.traits().sessionTimeout;
    return slot.active;
  }

  drop(id: number): boolean {
    return this.#slots.delete(id);
  }

  dropAll(): void {
    this.#slots.clear();
  }

  /** @returns the Open Session Response. @throws MalformedPacket */
  openSession(payload: Buffer): Buffer {
    this.#view.count('openSession');
    const request = decodeOpenSessionRequest(payload);
    const traits = this.#view.traits();
    const behaviours = this.#view.behaviours();
    const refuse = (status: number): Buffer => {
      const clientId = behaviours.shortRefusals ? null : request.clientId;
      return encodeOpenSessionResponse({ tag: request.tag, status, clientId, bmcId: null });
    };
    const suite = this.#agree(request, traits, behaviours);
    if (suite === null) return refuse(rmcpStatus.noSuiteMatch);
    if (request.clientId === 0) return refuse(rmcpStatus.illegalParameter);
    if (behaviours.slotsFull || this.used >= traits.maxSessions) {
      this.#view.count('noSlot');
      return refuse(rmcpStatus.noResources);
    }
    const id = this.#newId();
    this.#slots.set(id, {
      id,
      clientId: request.clientId,
      suite,
      expires: this.#clock.monotonic() + traits.setupTimeout,
      rakp2: null,
      proof: null,
      active: null,
    });
    return encodeOpenSessionResponse({
      tag: request.tag,
      status: rmcpStatus.ok,
      privilege: request.privilege === 0 ? 4 : request.privilege,
      clientId: request.clientId,
      bmcId: id,
      algorithms: suite.algorithms,
    });
  }

  /** @returns RAKP 2. @throws MalformedPacket */
  rakp1(payload: Buffer): Buffer {
    this.#view.count('rakp1');
    const message = decodeRakp1(payload);
    const { tag } = message;
    this.#reap();
    const slot = this.#slots.get(message.bmcId);
    if (!slot || slot.active)
      return encodeRakp2({ tag, status: rmcpStatus.invalidSessionId, clientId: 0, code: null });
    const asked = encodeRakp1({ ...message, tag: 0 });
    if (slot.rakp2?.asked.equals(asked))
      return Buffer.concat([Buffer.from([tag]), slot.rakp2.answer.subarray(1)]);

    const traits = this.#view.traits();
    const refuse = (status: number): Buffer => {
      this.#slots.delete(slot.id);
      return encodeRakp2({ tag, status, clientId: slot.clientId, code: null });
    };
    const user = traits.users.find((one) => one.name === message.username.toString());
    if (!user) return refuse(rmcpStatus.unauthorizedName);
    const limit = message.role & 0x0f;
    if (limit < 1 || limit > user.level) return refuse(rmcpStatus.invalidRole);

    const wrong = this.#view.behaviours().wrongPassword;
    const secrets: RakpSecrets = {
      suite: slot.suite,
      clientId: slot.clientId,
      bmcId: slot.id,
      clientRandom: message.clientRandom,
      bmcRandom: randomBytes(16),
      guid: traits.guid,
      role: message.role,
      username: message.username,
      password: wrong ? randomBytes(20) : Buffer.from(user.password),
      kg: traits.kg === null ? null : Buffer.from(traits.kg),
    };
    slot.proof = { secrets, user };
    const answer = encodeRakp2({
      tag,
      status: rmcpStatus.ok,
      clientId: slot.clientId,
      bmcRandom: secrets.bmcRandom,
      guid: secrets.guid,
      code: rakp2Code(secrets),
    });
    slot.rakp2 = { asked, answer };
    return answer;
  }

  /** @returns RAKP 4, or null when the client gave the session up. @throws MalformedPacket */
  rakp3(payload: Buffer): Buffer | null {
    this.#view.count('rakp3');
    const message = decodeRakp3(payload);
    const { tag } = message;
    this.#reap();
    const slot = this.#slots.get(message.bmcId);
    if (message.status !== rmcpStatus.ok) {
      this.#view.count('givenUp');
      if (slot) this.#slots.delete(slot.id);
      return null;
    }
    const refuse = (status: number, clientId: number): Buffer =>
      encodeRakp4({ tag, status, clientId, check: Buffer.alloc(0) });
    if (!slot?.proof) return refuse(rmcpStatus.invalidSessionId, 0);
    const { secrets, user } = slot.proof;
    if (!sameCode(message.code, rakp3Code(secrets))) {
      this.#view.count('badPassword');
      this.#slots.delete(slot.id);
      return refuse(rmcpStatus.invalidCheckValue, slot.clientId);
    }
    const keys = deriveSessionKeys(secrets);
    if (!slot.active) {
      const limit = secrets.role & 0x0f;
      slot.active = {
        id: slot.id,
        clientId: slot.clientId,
        user,
        limit,
        level: Math.min(userLevel, limit),
        keys,
        window: new SequenceWindow(bmcWindow),
        sequence: 0,
      };
      slot.expires = this.#clock.monotonic() + this.#view.traits().sessionTimeout;
      this.#view.count('session');
    }
    return encodeRakp4({
      tag,
      status: rmcpStatus.ok,
      clientId: slot.clientId,
      check: rakp4Check(secrets, keys),
    });
  }

  #agree(request: OpenSessionRequest, traits: BmcTraits, behaviours: BmcBehaviours): CipherSuite | null {
    if (behaviours.downgrade) return cipherSuites[3];
    const suites = traits.suites.map((id) => cipherSuites[id]);
    return suites.find((suite) => sameAlgorithms(suite.algorithms, request.algorithms)) ?? null;
  }

  #newId(): number {
    for (;;) {
      const id = randomBytes(4).readUInt32LE();
      if (id !== 0 && !this.#slots.has(id)) return id;
    }
  }

  #reap(): void {
    const now = this.#clock.monotonic();
    for (const slot of this.#slots.values())
      if (slot.expires <= now) {
        this.#view.count('expired');
        this.#slots.delete(slot.id);
      }
  }
}
