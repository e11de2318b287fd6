import { DeviceError, type BmcTarget, type Duration } from '../../../../plugin-api/index.ts';
import { cipherSuites, sameAlgorithms, type SuiteId } from '../../../wire/rmcp/cipher-suite.ts';
import { decodeOpenSessionResponse, encodeOpenSessionRequest } from '../../../wire/rmcp/open-session.ts';
import { privilegeLevel } from '../../../wire/rmcp/privilege.ts';
import { encodeRakp1, nameOnlyLookup } from '../../../wire/rmcp/rakp1.ts';
import { decodeRakp2 } from '../../../wire/rmcp/rakp2.ts';
import { encodeRakp3 } from '../../../wire/rmcp/rakp3.ts';
import { decodeRakp4 } from '../../../wire/rmcp/rakp4.ts';
import { decodeRmcp, rmcpClass, rmcpHeaderLength, writeRmcpHeader } from '../../../wire/rmcp/rmcp-header.ts';
import {
  authTypeRmcpPlus,
  decodeRmcpPlus,
  payloadType,
  rmcpPlusHeaderLength,
  writeRmcpPlusHeader,
} from '../../../wire/rmcp/rmcp-plus.ts';
import { rmcpStatus } from '../../../wire/rmcp/rmcp-status.ts';
import {
  deriveSessionKeys,
  rakp2Code,
  rakp3Code,
  rakp4Check,
  sameCode,
  type RakpSecrets,
  type SessionKeys,
} from '../../../wire/rmcp/session-keys.ts';
import type { BmcChannel } from './bmc-channel.ts';
import { isSuiteRefusal, place, statusError } from './ipmi-errors.ts';
import { IpmiSession } from './ipmi-session.ts';
import { randomFromPool } from './random-pool.ts';
import type { SessionSecrets } from './session-secrets.ts';

/** How one pass of the set-up ended. `silent`: which message got no answer. */
export type SetupOutcome =
  | { readonly kind: 'established'; readonly session: SessionSecrets }
  | { readonly kind: 'silent'; readonly after: 'Open Session' | 'RAKP 1' | 'RAKP 3' }
  | { readonly kind: 'suite-refused'; readonly error: DeviceError };

/**
 * One pass through Open Session and RAKP 1 to 4. Nothing is retransmitted within a pass, because RAKP messages sent twice
 * upset real BMCs; the caller begins a new pass instead. A pass that fails after Open Session tells the BMC so, or the
 * half-open session would keep one of its few slots for up to a minute.
 * @throws DeviceError for refusals, or the signal's reason
 */
export async function setUpSession(
  channel: BmcChannel,
  target: BmcTarget,
  suiteId: SuiteId,
  time: Duration,
  signal: AbortSignal,
): Promise<SetupOutcome> {
  const suite = cipherSuites[suiteId];
  const tag = randomFromPool(1)[0]!;
  const clientId = randomFromPool(4).readUInt32LE() || 1;
  // The same level in Open Session and RAKP 1: some BMCs hash the one, some the other.
  const privilege = privilegeLevel[target.privilege ?? 'operator'];

  const opened = await channel.ask(
    setUpDatagram(
      payloadType.openSessionRequest,
      encodeOpenSessionRequest({ tag, privilege, clientId, algorithms: suite.algorithms }),
    ),
    acceptor(payloadType.openSessionResponse, decodeOpenSessionResponse, tag, clientId),
    time,
    signal,
  );
  if (opened === null) return { kind: 'silent', after: 'Open Session' };
  if (opened.bmcId === null) {
    const error = statusError(target, `Open Session with cipher suite ${suiteId}`, opened.status);
    if (isSuiteRefusal(opened.status)) return { kind: 'suite-refused', error };
    throw error;
  }

  const { bmcId } = opened;
  const giveUp = (status: number): void =>
    channel.tell(
      setUpDatagram(payloadType.rakp3, encodeRakp3({ tag, status, bmcId, code: Buffer.alloc(0) })),
    );
  // Some BMCs answer a request for suite 17 with the numbers of suite 3: a refusal, never a silent downgrade.
  if (!sameAlgorithms(opened.algorithms, suite.algorithms)) {
    giveUp(rmcpStatus.noSuiteMatch);
    const error = new DeviceError({
      code: 'power.suite',
      what: `cipher suite ${suiteId} was asked for, and another one answered`,
      where: place(target),
    });
    return { kind: 'suite-refused', error };
  }

  let established = false;
  let proven: SessionKeys | null = null;
  let reason: number = rmcpStatus.noResources;
  try {
    const clientRandom = randomFromPool(16);
    const role = privilege | nameOnlyLookup;
    const username = Buffer.from(target.username);
    const rakp2 = await channel.ask(
      setUpDatagram(payloadType.rakp1, encodeRakp1({ tag, bmcId, clientRandom, role, username })),
      acceptor(payloadType.rakp2, decodeRakp2, tag, clientId),
      time,
      signal,
    );
    if (rakp2 === null) return { kind: 'silent', after: 'RAKP 1' };
    if (rakp2.code === null) throw statusError(target, `user "${target.username}"`, rakp2.status);

    const secrets: RakpSecrets = {
      suite,
      clientId,
      bmcId,
      clientRandom,
      bmcRandom: rakp2.bmcRandom,
      guid: rakp2.guid,
      role,
      username,
      password: Buffer.from(target.password.reveal()),
      kg: target.kg ? Buffer.from(target.kg.reveal()) : null,
    };
    if (!sameCode(rakp2.code, rakp2Code(secrets))) {
      reason = rmcpStatus.invalidCheckValue;
      throw new DeviceError({
        code: 'power.auth',
        what: `the BMC has another password for user "${target.username}"`,
        where: place(target),
      });
    }

    const keys = deriveSessionKeys(secrets);
    proven = keys;
    const rakp4 = await channel.ask(
      setUpDatagram(
        payloadType.rakp3,
        encodeRakp3({ tag, status: rmcpStatus.ok, bmcId, code: rakp3Code(secrets) }),
      ),
      acceptor(payloadType.rakp4, decodeRakp4, tag, clientId),
      time,
      signal,
    );
    if (rakp4 === null) return { kind: 'silent', after: 'RAKP 3' };
    if (rakp4.status !== rmcpStatus.ok) throw statusError(target, 'the password proof', rakp4.status);
    if (!sameCode(rakp4.check, rakp4Check(secrets, keys))) {
      reason = rmcpStatus.invalidCheckValue;
      throw new DeviceError({
        code: 'power.auth',
        what: target.kg ? 'the BMC has another BMC key (Kg)' : 'the BMC wants a BMC key (Kg)',
        where: place(target),
        remedy: 'set the Kg that is configured on the BMC',
      });
    }
    established = true;
    return { kind: 'established', session: { clientId, bmcId, keys } };
  } finally {
    if (!established) {
      giveUp(reason);
      // Perhaps only the answer was lost, or not waited for: then the BMC has a session, which no message of the set-up ends.
      if (proven) new IpmiSession(channel, { clientId, bmcId, keys: proven }, 0).abandon();
    }
  }
}

function setUpDatagram(type: number, payload: Buffer): Buffer {
  const headers = rmcpHeaderLength + rmcpPlusHeaderLength;
  // From the pool: every byte is written below.
  const bytes = Buffer.allocUnsafe(headers + payload.length);
  writeRmcpHeader(bytes, rmcpClass.ipmi);
  writeRmcpPlusHeader(bytes, rmcpHeaderLength, type, 0, 0, payload.length);
  bytes.set(payload, headers);
  return bytes;
}

/** Takes the answer of this type with this tag and, where it carries one, this client id. */
function acceptor<
  T extends { readonly tag: number; readonly status: number; readonly clientId: number | null },
>(
  type: number,
  decode: (payload: Buffer) => T,
  tag: number,
  clientId: number,
): (bytes: Buffer) => T | undefined {
  return (bytes) => {
    const { messageClass, body } = decodeRmcp(bytes);
    if (messageClass !== rmcpClass.ipmi || body[0] !== authTypeRmcpPlus) return undefined;
    const packet = decodeRmcpPlus(body);
    if (packet.payloadType !== type || packet.sessionId !== 0) return undefined;
    const message = decode(packet.payload);
    // The client id of a refusal may be zeroed; of an agreement it must be ours.
    const refused = message.status !== rmcpStatus.ok;
    const ours = message.clientId === clientId || (refused && !message.clientId);
    return message.tag === tag && ours ? message : undefined;
  };
}
