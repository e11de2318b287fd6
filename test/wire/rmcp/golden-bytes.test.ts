import assert from 'node:assert/strict';
import { encodeAsfPing } from '../../../src/wire/rmcp/asf-ping.ts';
import { cipherSuites } from '../../../src/wire/rmcp/cipher-suite.ts';
import { decodeBootFlags, encodeBootFlags } from '../../../src/wire/rmcp/command/boot-flags.ts';
import { chassisControl, type ChassisAction } from '../../../src/wire/rmcp/command/chassis-control.ts';
import { getChannelAuthCapabilities } from '../../../src/wire/rmcp/command/get-channel-auth-capabilities.ts';
import { getChassisStatus } from '../../../src/wire/rmcp/command/get-chassis-status.ts';
import { encodeIpmiRequest } from '../../../src/wire/rmcp/ipmi-message.ts';
import { decodeOpenSessionResponse, encodeOpenSessionRequest } from '../../../src/wire/rmcp/open-session.ts';
import { encodeRmcp, rmcpClass } from '../../../src/wire/rmcp/rmcp-header.ts';
import { payloadType } from '../../../src/wire/rmcp/rmcp-plus.ts';
import { encodeSession15 } from '../../../src/wire/rmcp/session15.ts';
import { sealPacket } from '../../../src/wire/rmcp/sealed-packet.ts';
import { deriveSessionKeys } from '../../../src/wire/rmcp/session-keys.ts';

const hex = (bytes: Buffer): string => bytes.toString('hex');

describe('rmcp golden bytes', () => {
  it('an ASF presence ping', () => {
    const ping = encodeRmcp({ messageClass: rmcpClass.asf, body: encodeAsfPing(0x2a) });
    assert.equal(hex(ping), '0600ff06000011be802a0000');
  });

  it('the discovery packet that scanners send', () => {
    const message = encodeIpmiRequest({
      netFn: getChannelAuthCapabilities.netFn,
      command: getChannelAuthCapabilities.command,
      rqSeq: 0,
      data: getChannelAuthCapabilities.encodeRequest({ extended: true, privilege: 4 }),
    });
    const packet = encodeRmcp({ messageClass: rmcpClass.ipmi, body: encodeSession15(message) });
    assert.equal(hex(packet), '0600ff07000000000000000000092018c88100388e04b5');
  });

  it('an Open Session Request for cipher suite 17', () => {
    const request = encodeOpenSessionRequest({
      tag: 7,
      privilege: 3,
      clientId: 0xa0a2a3a4,
      algorithms: cipherSuites[17].algorithms,
    });
    assert.equal(hex(request), '07030000a4a3a2a0000000080300000001000008040000000200000801000000');
  });

  it('refusals of Open Session of 2 and of 8 bytes', () => {
    assert.deepEqual(decodeOpenSessionResponse(Buffer.from('0704', 'hex')), {
      tag: 7,
      status: 4,
      clientId: null,
      bmcId: null,
    });
    assert.deepEqual(decodeOpenSessionResponse(Buffer.from('07010000a4a3a2a0', 'hex')), {
      tag: 7,
      status: 1,
      clientId: 0xa0a2a3a4,
      bmcId: null,
    });
  });

  it('boot flags', () => {
    const once = { valid: true, persistent: false };
    assert.equal(hex(encodeBootFlags({ ...once, efi: false, device: 1 })), '8004000000');
    assert.equal(hex(encodeBootFlags({ ...once, efi: true, device: 1 })), 'a004000000');
    const ever = { valid: true, persistent: true };
    assert.equal(hex(encodeBootFlags({ ...ever, efi: true, device: 2 })), 'e008000000');
    assert.equal(hex(encodeBootFlags({ ...ever, efi: false, device: 2 })), 'c008000000');
    assert.deepEqual(decodeBootFlags(Buffer.from('e024000000', 'hex')), { ...ever, efi: true, device: 9 });
  });

  it('chassis controls', () => {
    const numbers: Record<ChassisAction, number> = {
      off: 0,
      on: 1,
      cycle: 2,
      reset: 3,
      diagnostic: 4,
      soft: 5,
    };
    for (const [action, number] of Object.entries(numbers) as [ChassisAction, number][])
      assert.equal(hex(chassisControl.encodeRequest({ action })), `0${number}`);
    assert.throws(() => chassisControl.decodeRequest(Buffer.from([6])), { name: 'MalformedPacket' });
  });

  it('a chassis status request of 64 bytes in suite 3 and 68 in suite 17', () => {
    for (const [id, length] of [
      [3, 64],
      [17, 68],
    ] as const) {
      const sixteen = Buffer.alloc(16);
      const keys = deriveSessionKeys({
        suite: cipherSuites[id],
        clientId: 1,
        bmcId: 2,
        clientRandom: sixteen,
        bmcRandom: sixteen,
        guid: sixteen,
        role: 0x14,
        username: Buffer.from('admin'),
        password: Buffer.from('password'),
        kg: null,
      });
      const payload = encodeIpmiRequest({ ...getChassisStatus, rqSeq: 1, data: Buffer.alloc(0) });
      const packet = { payloadType: payloadType.ipmi, sessionId: 2, sequence: 1, payload };
      const body = sealPacket(keys, packet, sixteen);
      assert.equal(encodeRmcp({ messageClass: rmcpClass.ipmi, body }).length, length);
    }
  });
});
