import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AesKey, decryptPayload, encryptPayload } from '../../../src/wire/rmcp/aes-payload.ts';
import {
  decodeAsfPing,
  decodeAsfPong,
  encodeAsfPing,
  encodeAsfPong,
} from '../../../src/wire/rmcp/asf-ping.ts';
import { cipherSuites } from '../../../src/wire/rmcp/cipher-suite.ts';
import { decodeBootFlags, encodeBootFlags } from '../../../src/wire/rmcp/command/boot-flags.ts';
import { getBootOptions, setBootOptions } from '../../../src/wire/rmcp/command/boot-options.ts';
import { chassisControl } from '../../../src/wire/rmcp/command/chassis-control.ts';
import { closeSession } from '../../../src/wire/rmcp/command/close-session.ts';
import type { CommandCodec } from '../../../src/wire/rmcp/command/command-codec.ts';
import { getChannelAuthCapabilities } from '../../../src/wire/rmcp/command/get-channel-auth-capabilities.ts';
import { getChannelCipherSuites } from '../../../src/wire/rmcp/command/get-channel-cipher-suites.ts';
import { getChassisStatus } from '../../../src/wire/rmcp/command/get-chassis-status.ts';
import { getDeviceId } from '../../../src/wire/rmcp/command/get-device-id.ts';
import { getSystemGuid } from '../../../src/wire/rmcp/command/get-system-guid.ts';
import { setSessionPrivilege } from '../../../src/wire/rmcp/command/set-session-privilege.ts';
import {
  decodeIpmiRequest,
  decodeIpmiResponse,
  encodeIpmiRequest,
  encodeIpmiResponse,
} from '../../../src/wire/rmcp/ipmi-message.ts';
import { MalformedPacket } from '../../../src/wire/rmcp/malformed-packet.ts';
import {
  decodeOpenSessionRequest,
  decodeOpenSessionResponse,
  encodeOpenSessionRequest,
  encodeOpenSessionResponse,
} from '../../../src/wire/rmcp/open-session.ts';
import { decodeRakp1, encodeRakp1 } from '../../../src/wire/rmcp/rakp1.ts';
import { decodeRakp2, encodeRakp2 } from '../../../src/wire/rmcp/rakp2.ts';
import { decodeRakp3, encodeRakp3 } from '../../../src/wire/rmcp/rakp3.ts';
import { decodeRakp4, encodeRakp4 } from '../../../src/wire/rmcp/rakp4.ts';
import { decodeRmcp, encodeRmcp } from '../../../src/wire/rmcp/rmcp-header.ts';
import { decodeRmcpPlus, encodeRmcpPlus, payloadType } from '../../../src/wire/rmcp/rmcp-plus.ts';
import { sealPacket, unsealPacket } from '../../../src/wire/rmcp/sealed-packet.ts';
import { deriveSessionKeys } from '../../../src/wire/rmcp/session-keys.ts';
import { decodeSession15, encodeSession15 } from '../../../src/wire/rmcp/session15.ts';

const bytes = (minLength: number, maxLength = minLength): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array));
/** `fc.record` whose values have the usual prototype, so that they equal decoded objects strictly. */
const record = <T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(shape, { noNullPrototype: true });
const byte = fc.integer({ min: 0, max: 255 });
const bits = (n: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** n - 1 });
const id = fc.integer({ min: 1, max: 0xffffffff });
const suite = fc.constantFrom(cipherSuites[3], cipherSuites[17]);
const failure = fc.integer({ min: 1, max: 255 });

function roundTrip<T>(
  values: fc.Arbitrary<T>,
  encode: (value: T) => Buffer,
  decode: (bytes: Buffer) => T,
): void {
  fc.assert(fc.property(values, (value) => assert.deepEqual(decode(encode(value)), value)));
}

describe('rmcp round trips', () => {
  it('RMCP header', () =>
    roundTrip(record({ messageClass: fc.constantFrom(6, 7), body: bytes(0, 80) }), encodeRmcp, decodeRmcp));

  it('ASF ping and pong', () => {
    roundTrip(byte, encodeAsfPing, decodeAsfPing);
    roundTrip(record({ tag: byte, ipmi: fc.boolean() }), encodeAsfPong, decodeAsfPong);
  });

  it('IPMI 1.5 header', () => roundTrip(bytes(0, 255), encodeSession15, decodeSession15));

  it('RMCP+ header', () =>
    roundTrip(
      record({
        payloadType: fc.constantFrom(...Object.values(payloadType)),
        encrypted: fc.boolean(),
        authenticated: fc.boolean(),
        sessionId: bits(32),
        sequence: bits(32),
        payload: bytes(0, 100),
      }),
      encodeRmcpPlus,
      decodeRmcpPlus,
    ));

  it('Open Session', () => {
    const algorithms = record({ authentication: bits(6), integrity: bits(6), confidentiality: bits(6) });
    roundTrip(
      record({ tag: byte, privilege: bits(4), clientId: id, algorithms }),
      encodeOpenSessionRequest,
      decodeOpenSessionRequest,
    );
    roundTrip(
      fc.oneof(
        record({
          tag: byte,
          status: fc.constant(0 as const),
          privilege: bits(4),
          clientId: id,
          bmcId: id,
          algorithms,
        }),
        record({
          tag: byte,
          status: failure,
          clientId: fc.option(id, { nil: null }),
          bmcId: fc.constant(null),
        }),
      ),
      encodeOpenSessionResponse,
      decodeOpenSessionResponse,
    );
  });

  it('RAKP 1 to 4', () => {
    roundTrip(
      record({ tag: byte, bmcId: id, clientRandom: bytes(16), role: byte, username: bytes(0, 16) }),
      encodeRakp1,
      decodeRakp1,
    );
    roundTrip(
      fc.oneof(
        record({
          tag: byte,
          status: fc.constant(0 as const),
          clientId: id,
          bmcRandom: bytes(16),
          guid: bytes(16),
          code: fc.oneof(bytes(20), bytes(32)),
        }),
        record({
          tag: byte,
          status: failure,
          clientId: fc.option(id, { nil: null }),
          code: fc.constant(null),
        }),
      ),
      encodeRakp2,
      decodeRakp2,
    );
    roundTrip(
      record({ tag: byte, status: byte, bmcId: id, code: fc.oneof(bytes(0), bytes(20), bytes(32)) }),
      encodeRakp3,
      decodeRakp3,
    );
    roundTrip(
      fc.oneof(
        record({ tag: byte, status: byte, clientId: id, check: fc.oneof(bytes(0), bytes(12), bytes(16)) }),
        record({ tag: byte, status: failure, clientId: fc.constant(null), check: bytes(0) }),
      ),
      encodeRakp4,
      decodeRakp4,
    );
  });

  it('IPMI requests and responses', () => {
    const head = { netFn: bits(5).map((n) => n * 2), command: byte, rqSeq: bits(6), data: bytes(0, 60) };
    roundTrip(record(head), encodeIpmiRequest, decodeIpmiRequest);
    roundTrip(
      record({ ...head, completion: byte, checksumOk: fc.constant(true) }),
      encodeIpmiResponse,
      decodeIpmiResponse,
    );
  });

  it('AES payload', () =>
    fc.assert(
      fc.property(bytes(16), bytes(0, 70), bytes(16), (key, message, iv) => {
        const encrypted = encryptPayload(new AesKey(key), message, iv);
        assert.equal(encrypted.length % 16, 0);
        assert.deepEqual(decryptPayload(new AesKey(key), encrypted), message);
      }),
    ));

  it('sealed packets, which only the same keys open', () =>
    fc.assert(
      fc.property(
        record({
          suite,
          clientId: id,
          bmcId: id,
          clientRandom: bytes(16),
          bmcRandom: bytes(16),
          guid: bytes(16),
          role: byte,
          username: bytes(0, 16),
          password: bytes(0, 20),
          kg: fc.option(bytes(1, 20), { nil: null }),
        }),
        record({ payloadType: bits(1), sessionId: id, sequence: id, payload: bytes(0, 70) }),
        bytes(16),
        (secrets, packet, iv) => {
          const keys = deriveSessionKeys(secrets);
          const sealed = sealPacket(keys, packet, iv);
          assert.equal((sealed.length - secrets.suite.checkLength) % 4, 0);
          const { payloadType: type, sessionId, sequence, payload } = unsealPacket(keys, sealed);
          assert.deepEqual({ payloadType: type, sessionId, sequence, payload }, packet);
          const others = deriveSessionKeys({
            ...secrets,
            kg: Buffer.from('another Kg, 20 bytes'),
          });
          assert.throws(() => unsealPacket(others, sealed), MalformedPacket);
        },
      ),
    ));

  it('boot flags', () =>
    roundTrip(
      record({ valid: fc.boolean(), persistent: fc.boolean(), efi: fc.boolean(), device: bits(4) }),
      encodeBootFlags,
      decodeBootFlags,
    ));

  it('commands', () => {
    const command = <Q, A>(
      codec: CommandCodec<Q, A>,
      request: fc.Arbitrary<Q>,
      answer: fc.Arbitrary<A>,
    ): void => {
      roundTrip(
        request,
        (value) => codec.encodeRequest(value),
        (data) => codec.decodeRequest(data),
      );
      roundTrip(
        answer,
        (value) => codec.encodeResponse(value),
        (data) => codec.decodeResponse(data),
      );
    };
    const nothing = fc.constant(undefined);
    command(
      getChannelAuthCapabilities,
      record({ extended: fc.boolean(), privilege: bits(4) }),
      record({
        channel: bits(4),
        ipmi20: fc.constant(true),
        ipmi15: fc.boolean(),
        kgSet: fc.boolean(),
        namedUsers: fc.boolean(),
        anonymousLogin: fc.boolean(),
      }),
    );
    command(
      getChannelCipherSuites,
      record({ index: bits(6) }),
      record({ channel: bits(4), records: bytes(0, 16) }),
    );
    command(getSystemGuid, nothing, bytes(16));
    command(
      getDeviceId,
      nothing,
      record({
        deviceId: byte,
        deviceRevision: bits(4),
        firmwareMajor: bits(7),
        firmwareMinor: fc.integer({ min: 0, max: 99 }),
        updating: fc.boolean(),
        manufacturer: bits(20),
        product: bits(16),
      }),
    );
    const level = record({ level: bits(4) });
    command(setSessionPrivilege, level, level);
    command(closeSession, record({ bmcId: id }), nothing);
    command(getChassisStatus, nothing, record({ powerOn: fc.boolean() }));
    const action = fc.constantFrom('off', 'on', 'cycle', 'reset', 'diagnostic', 'soft');
    command(chassisControl, record({ action }), nothing);
    command(setBootOptions, record({ parameter: bits(7), data: bytes(0, 18) }), nothing);
    command(
      getBootOptions,
      record({ parameter: bits(7) }),
      record({ parameter: bits(7), data: bytes(0, 18) }),
    );
  });
});

describe('rmcp decoders given any bytes', () => {
  const keys = deriveSessionKeys({
    suite: cipherSuites[3],
    clientId: 1,
    bmcId: 2,
    clientRandom: Buffer.alloc(16),
    bmcRandom: Buffer.alloc(16),
    guid: Buffer.alloc(16),
    role: 0x14,
    username: Buffer.alloc(0),
    password: Buffer.alloc(0),
    kg: null,
  });
  const decoders: Record<string, (input: Buffer) => unknown> = {
    decodeRmcp,
    decodeAsfPing,
    decodeAsfPong,
    decodeSession15,
    decodeRmcpPlus,
    decodeOpenSessionRequest,
    decodeOpenSessionResponse,
    decodeRakp1,
    decodeRakp2,
    decodeRakp3,
    decodeRakp4,
    decodeIpmiRequest,
    decodeIpmiResponse,
    decodeBootFlags,
    decryptPayload: (input) => decryptPayload(new AesKey(Buffer.alloc(16)), input),
    unsealPacket: (input) => unsealPacket(keys, input),
    getDeviceId: (input) => getDeviceId.decodeResponse(input),
    getChassisStatus: (input) => getChassisStatus.decodeResponse(input),
    getBootOptions: (input) => getBootOptions.decodeResponse(input),
    getChannelAuthCapabilities: (input) => getChannelAuthCapabilities.decodeResponse(input),
  };

  for (const [name, decode] of Object.entries(decoders))
    it(`${name} returns or says "malformed"`, () =>
      fc.assert(
        fc.property(bytes(0, 90), (input) => {
          try {
            decode(input);
          } catch (error) {
            assert.ok(error instanceof MalformedPacket, String(error));
          }
        }),
      ));
});
