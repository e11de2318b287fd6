import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { cipherSuites, type SuiteId } from '../../../src/wire/rmcp/cipher-suite.ts';
import { closeSession } from '../../../src/wire/rmcp/command/close-session.ts';
import { getChassisStatus } from '../../../src/wire/rmcp/command/get-chassis-status.ts';
import {
  decodeIpmiRequest,
  decodeIpmiResponse,
  encodeIpmiRequest,
  encodeIpmiResponse,
} from '../../../src/wire/rmcp/ipmi-message.ts';
import {
  decodeOpenSessionRequest,
  decodeOpenSessionResponse,
  encodeOpenSessionRequest,
} from '../../../src/wire/rmcp/open-session.ts';
import { decodeRakp1, encodeRakp1 } from '../../../src/wire/rmcp/rakp1.ts';
import { decodeRakp2, encodeRakp2 } from '../../../src/wire/rmcp/rakp2.ts';
import { decodeRakp3, encodeRakp3 } from '../../../src/wire/rmcp/rakp3.ts';
import { decodeRakp4, encodeRakp4 } from '../../../src/wire/rmcp/rakp4.ts';
import { decodeRmcp, encodeRmcp, rmcpClass } from '../../../src/wire/rmcp/rmcp-header.ts';
import { decodeRmcpPlus, encodeUnsealed, payloadType } from '../../../src/wire/rmcp/rmcp-plus.ts';
import { sealPacket, unsealPacket } from '../../../src/wire/rmcp/sealed-packet.ts';
import {
  deriveSessionKeys,
  rakp2Code,
  rakp3Code,
  rakp4Check,
  type RakpSecrets,
} from '../../../src/wire/rmcp/session-keys.ts';

interface Recording {
  readonly user: string;
  readonly password: string;
  readonly datagrams: readonly { readonly from: 'client' | 'bmc'; readonly hex: string }[];
}

const ofType =
  (type: number) =>
  (bytes: Buffer): boolean =>
    bytes[4] === 6 && (bytes[5]! & 0x3f) === type && bytes.readUInt32LE(6) === 0;

/** Whole sessions between foreign programs, byte by byte: the codecs must agree with both ends. */
for (const suiteId of [3, 17] as const satisfies SuiteId[]) {
  describe(`a recorded session with cipher suite ${suiteId}`, () => {
    const file = new URL(`./recorded/suite-${suiteId}.json`, import.meta.url);
    const recording = JSON.parse(readFileSync(file, 'utf8')) as Recording;
    const datagrams = recording.datagrams.map((one) => Buffer.from(one.hex, 'hex'));
    const setUp = (type: number): Buffer => {
      const datagram = datagrams.find(ofType(type));
      assert.ok(datagram, `payload type ${type} is in the recording`);
      return decodeRmcpPlus(decodeRmcp(datagram).body).payload;
    };

    const opening = decodeOpenSessionRequest(setUp(payloadType.openSessionRequest));
    const opened = decodeOpenSessionResponse(setUp(payloadType.openSessionResponse));
    const rakp1 = decodeRakp1(setUp(payloadType.rakp1));
    const rakp2 = decodeRakp2(setUp(payloadType.rakp2));
    const rakp3 = decodeRakp3(setUp(payloadType.rakp3));
    const rakp4 = decodeRakp4(setUp(payloadType.rakp4));
    assert.ok(opened.bmcId !== null && rakp2.code !== null);
    const secrets: RakpSecrets = {
      suite: cipherSuites[suiteId],
      clientId: opening.clientId,
      bmcId: opened.bmcId,
      clientRandom: rakp1.clientRandom,
      bmcRandom: rakp2.bmcRandom,
      guid: rakp2.guid,
      role: rakp1.role,
      username: rakp1.username,
      password: Buffer.from(recording.password),
      kg: null,
    };
    const keys = deriveSessionKeys(secrets);

    it('is encoded again to the same bytes', () => {
      const again = (type: number, payload: Buffer): string =>
        encodeRmcp({ messageClass: rmcpClass.ipmi, body: encodeUnsealed(type, payload) }).toString('hex');
      const recorded = (type: number): string => datagrams.find(ofType(type))!.toString('hex');
      const { openSessionRequest } = payloadType;
      assert.equal(
        again(openSessionRequest, encodeOpenSessionRequest(opening)),
        recorded(openSessionRequest),
      );
      // ipmitool fills the name field behind RAKP 1's name; the length field counts only the name.
      assert.ok(
        setUp(payloadType.rakp1).toString('hex').startsWith(encodeRakp1(rakp1).toString('hex')),
        'RAKP 1',
      );
      assert.equal(again(payloadType.rakp2, encodeRakp2(rakp2)), recorded(payloadType.rakp2));
      assert.equal(again(payloadType.rakp3, encodeRakp3(rakp3)), recorded(payloadType.rakp3));
      assert.equal(again(payloadType.rakp4, encodeRakp4(rakp4)), recorded(payloadType.rakp4));
    });

    it('has the codes that the password gives, and no others', () => {
      assert.equal(rakp1.username.toString(), recording.user);
      assert.deepEqual(rakp2.code, rakp2Code(secrets));
      assert.deepEqual(rakp3.code, rakp3Code(secrets));
      assert.deepEqual(rakp4.check, rakp4Check(secrets, keys));
      const wrong = { ...secrets, password: Buffer.from('passwort') };
      assert.notDeepEqual(rakp2.code, rakp2Code(wrong));
      assert.notDeepEqual(rakp3.code, rakp3Code(wrong));
      assert.notDeepEqual(rakp4.check, rakp4Check(wrong, deriveSessionKeys(wrong)));
    });

    it('is decrypted, and sealed again to the same bytes', () => {
      let power: boolean | null = null;
      let closed: number | null = null;
      let packets = 0;
      for (const [index, datagram] of datagrams.entries()) {
        if (datagram[4] !== 6 || datagram.readUInt32LE(6) === 0) continue;
        packets += 1;
        const { body } = decodeRmcp(datagram);
        const packet = unsealPacket(keys, body);
        const iv = body.subarray(12, 28);
        assert.equal(sealPacket(keys, packet, iv).toString('hex'), body.toString('hex'));
        if (recording.datagrams[index]!.from === 'client') {
          const request = decodeIpmiRequest(packet.payload);
          assert.deepEqual(encodeIpmiRequest(request), packet.payload);
          assert.equal(packet.sessionId, opened.bmcId);
          if (request.netFn === closeSession.netFn && request.command === closeSession.command)
            closed = closeSession.decodeRequest(request.data).bmcId;
        } else {
          const response = decodeIpmiResponse(packet.payload);
          assert.ok(response.checksumOk);
          assert.deepEqual(encodeIpmiResponse(response), packet.payload);
          assert.equal(packet.sessionId, opening.clientId);
          if (response.netFn === getChassisStatus.netFn && response.command === getChassisStatus.command)
            power = getChassisStatus.decodeResponse(response.data).powerOn;
        }
      }
      assert.ok(packets >= 8, `${packets} packets in the session`);
      assert.equal(power, false);
      assert.equal(closed, opened.bmcId);
    });

    it('is refused as soon as any bit of a packet differs', () => {
      const datagram = datagrams.find((one) => one[4] === 6 && one.readUInt32LE(6) !== 0)!;
      const { body } = decodeRmcp(datagram);
      for (let bit = 0; bit < body.length * 8; bit += 1) {
        const changed = Buffer.from(body);
        changed[bit >> 3] = changed[bit >> 3]! ^ (1 << (bit & 7));
        assert.throws(() => unsealPacket(keys, changed), { name: 'MalformedPacket' }, `bit ${bit}`);
      }
    });
  });
}
