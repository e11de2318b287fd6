import assert from 'node:assert/strict';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { decodeIpmiRequest, encodeIpmiResponse } from '../../src/wire/rmcp/ipmi-message.ts';
import { completionCode } from '../../src/wire/rmcp/completion-code.ts';
import { decodeRmcp, encodeRmcp, rmcpClass } from '../../src/wire/rmcp/rmcp-header.ts';
import { encodeOpenSessionResponse } from '../../src/wire/rmcp/open-session.ts';
import { encodeRakp2 } from '../../src/wire/rmcp/rakp2.ts';
import {
  authTypeRmcpPlus,
  decodeRmcpPlus,
  encodeUnsealed,
  payloadType,
} from '../../src/wire/rmcp/rmcp-plus.ts';
import { rmcpStatus } from '../../src/wire/rmcp/rmcp-status.ts';
import { decodeSession15, encodeSession15 } from '../../src/wire/rmcp/session15.ts';
import { cipherSuites } from '../../src/wire/rmcp/cipher-suite.ts';
import type { DeviceCode } from '../../plugin-api/index.ts';
import { failure, newDriver, onFloor, targetAt } from '../drivers/power/ipmi-fixture.ts';
import { until } from '../support/until.ts';

type Reply = (bytes: Buffer) => void;

/** A socket on loopback that answers as a test says. */
async function withSocket(
  hear: (bytes: Buffer, reply: Reply, from: RemoteInfo, socket: Socket) => void,
  test: (port: number) => Promise<void>,
): Promise<void> {
  const socket = createSocket('udp4');
  socket.on('message', (bytes, from) =>
    hear(bytes, (answer) => socket.send(answer, from.port, from.address), from, socket),
  );
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  try {
    await test(socket.address().port);
  } finally {
    await new Promise<void>((resolve) => socket.close(() => resolve()));
  }
}

const asBody = (body: Buffer): Buffer => encodeRmcp({ messageClass: rmcpClass.ipmi, body });

/** A BMC that answers the question for its capabilities so, and opens no session. */
function discovery(completion: number, data: Buffer): (bytes: Buffer, reply: Reply) => void {
  return (bytes, reply) => {
    const { body } = decodeRmcp(bytes);
    if (body[0] === authTypeRmcpPlus) return;
    const request = decodeIpmiRequest(decodeSession15(body));
    reply(asBody(encodeSession15(encodeIpmiResponse({ ...request, completion, data }))));
  };
}

/**
 * A BMC that was starting up, and said so, was told to speak IPMI 1.5 only: for good, so that a Stop failed that should have waited.
 * An answer of two bytes to the same question was a fault of csbm's own.
 */
describe('regression: a BMC that answers discovery and opens no session', () => {
  const cases: readonly (readonly [string, number, Buffer, DeviceCode, RegExp])[] = [
    ['is starting up', completionCode.initializing, Buffer.alloc(0), 'power.unreachable', /starting up/],
    ['is busy', completionCode.busy, Buffer.alloc(0), 'power.unreachable', /busy/],
    ['says too little', completionCode.ok, Buffer.from([1, 0]), 'power.protocol', /cannot be read/],
    ['knows no bit for 2.0', completionCode.invalidField, Buffer.alloc(0), 'power.suite', /1\.5 only/],
  ];
  for (const [why, completion, data, code, said] of cases)
    it(`${why}: ${code}`, () =>
      withSocket(discovery(completion, data), async (port) => {
        const driver = newDriver({ answerTimeouts: [50] });
        try {
          assert.match((await failure(code, driver.open(targetAt(port)).state())).message, said);
        } finally {
          await driver.close();
        }
      }));
});

/** What had spoken suite 3 was asked for suite 3 alone until the service was started again, and refused when it took 17 only by then. */
describe('regression: a BMC that takes suite 17 only, after it spoke 3', () => {
  it('is spoken to with 17', () =>
    onFloor({ traits: { suites: [3] } }, async ({ bmc, driver, target }) => {
      const one = driver.open(target());
      assert.equal((await one.identity()).suite, 3);
      bmc.remake({ suites: [17] });
      bmc.dropSessions();
      assert.equal((await one.identity()).suite, 17);
      bmc.remake({ suites: [3] });
      bmc.dropSessions();
      // And never back again.
      await failure('power.suite', one.state());
    }));
});

/** A session whose RAKP 4 got lost was open at the BMC, and held one of its few places until it timed out. */
describe('regression: sessions whose last message of the set-up got lost', () => {
  it('are closed', () =>
    onFloor({}, async ({ bmc, port: bmcPort }) => {
      let client: RemoteInfo | null = null;
      let lost = 0;
      const isSetUp = (bytes: Buffer, type: number): boolean => {
        const { body } = decodeRmcp(bytes);
        return body[0] === authTypeRmcpPlus && decodeRmcpPlus(body).payloadType === type;
      };
      await withSocket(
        (bytes, _reply, from, socket) => {
          if (from.port !== bmcPort) {
            client = from;
            // What belongs to the set-up ends no session that is open (IPMI 2.0, section 13.22: it ends the setting up).
            const givenUp = isSetUp(bytes, payloadType.rakp3) && bytes[17] !== rmcpStatus.ok;
            if (!givenUp) socket.send(bytes, bmcPort, '127.0.0.1');
          } else if (isSetUp(bytes, payloadType.rakp4)) lost += 1;
          else socket.send(bytes, client!.port, client!.address);
        },
        async (port) => {
          const driver = newDriver({ answerTimeouts: [100, 100] });
          try {
            await failure('power.unreachable', driver.open(targetAt(port)).state());
            assert.equal(lost, 2);
            await until(() => bmc.sessionsUsed === 0);
          } finally {
            await driver.close();
          }
        },
      );
    }));
});

/** An agreement without the session's own number was believed, so that a stray or forged one passed for a wrong password, which ends the polling. */
describe('regression: an agreement that names no session', () => {
  it('is not taken for the answer', () =>
    withSocket(
      (bytes, reply) => {
        const { body } = decodeRmcp(bytes);
        if (body[0] !== authTypeRmcpPlus) return;
        const { payload, payloadType: type } = decodeRmcpPlus(body);
        const tag = payload[0]!;
        const status = rmcpStatus.ok;
        if (type === payloadType.openSessionRequest)
          reply(
            asBody(
              encodeUnsealed(
                payloadType.openSessionResponse,
                encodeOpenSessionResponse({
                  tag,
                  status,
                  privilege: 3,
                  clientId: payload.readUInt32LE(4),
                  bmcId: 7,
                  algorithms: cipherSuites[17].algorithms,
                }),
              ),
            ),
          );
        if (type === payloadType.rakp1)
          reply(
            asBody(
              encodeUnsealed(
                payloadType.rakp2,
                encodeRakp2({
                  tag,
                  status,
                  clientId: 0,
                  bmcRandom: Buffer.alloc(16),
                  guid: Buffer.alloc(16),
                  code: Buffer.alloc(32),
                }),
              ),
            ),
          );
      },
      async (port) => {
        const driver = newDriver({ answerTimeouts: [50] });
        try {
          const error = await failure('power.unreachable', driver.open(targetAt(port)).state());
          assert.match(error.message, /RAKP 1 was not/);
        } finally {
          await driver.close();
        }
      },
    ));
});
