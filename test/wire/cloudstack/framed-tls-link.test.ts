import assert from 'node:assert/strict';
import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { FramedTlsLink } from '../../../src/wire/cloudstack/framed-tls-link.ts';
import { LoopTurns } from '../../../src/wire/cloudstack/loop-turns.ts';
import { PacketDecoder, type Packet } from '../../../src/wire/cloudstack/packet-decoder.ts';
import { authority } from '../../api/cloudstack-agent/agent-harness.ts';

/** One end of a link, with what it heard. */
class End {
  readonly messages: Buffer[] = [];
  error: Error | null | undefined;
  link!: FramedTlsLink;
  #wake: () => void = () => undefined;

  readonly events = {
    message: (bytes: Buffer): void => {
      this.messages.push(bytes);
      this.#wake();
    },
    closed: (error: Error | null): void => {
      this.error = error;
      this.#wake();
    },
  };

  async until(probe: () => boolean): Promise<void> {
    while (!probe()) await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

/** What stands between the ends: sees every byte, cuts the stream into chunks of `chunk`, and can break it. */
interface Wire {
  chunk: number;
  /** Bytes from the server that still pass; then the connection is cut. */
  budget: number;
  readonly seen: { client: Packet[]; server: Packet[] };
}

describe('framed TLS link', () => {
  let listener: Server;
  let proxy: Server;
  let wire: Wire;
  let client: End;
  let server: End;
  let tls: Parameters<typeof FramedTlsLink.server>[1];
  const sockets = new Set<Socket>();

  beforeEach(async () => {
    wire = { chunk: 65_536, budget: Number.POSITIVE_INFINITY, seen: { client: [], server: [] } };
    tls = { key: authority().keyPem, cert: authority().pem };
    client = new End();
    server = new End();
    const track = (socket: Socket): Socket => {
      sockets.add(socket);
      return socket.on('error', () => undefined);
    };
    listener = createServer((socket) => {
      server.link = FramedTlsLink.server(track(socket), tls, server.events);
    }).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    proxy = createServer((near) => {
      const far = track(connect((listener.address() as AddressInfo).port, '127.0.0.1'));
      track(near);
      const forward = (from: Socket, to: Socket, seen: Packet[], limited: boolean): void => {
        const decoder = new PacketDecoder();
        from.on('data', (bytes: Buffer) => {
          seen.push(...decoder.decode(bytes));
          for (let at = 0; at < bytes.length; at += wire.chunk) {
            const piece = bytes.subarray(at, at + wire.chunk);
            if (limited && wire.budget < piece.length) {
              to.end(piece.subarray(0, wire.budget));
              from.destroy();
              return;
            }
            if (limited) wire.budget -= piece.length;
            to.write(piece);
          }
        });
        from.on('end', () => to.end());
      };
      near.setNoDelay(true);
      far.setNoDelay(true);
      forward(near, far, wire.seen.client, false);
      forward(far, near, wire.seen.server, true);
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
  });

  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    listener.close();
    proxy.close();
  });

  async function dial(turns: LoopTurns | null = null): Promise<void> {
    const socket = connect((proxy.address() as AddressInfo).port, '127.0.0.1');
    await once(socket, 'connect');
    client.link = FramedTlsLink.client(socket, {}, client.events, turns);
    await client.link.secured();
  }

  for (const ciphers of [undefined, 'ECDHE-RSA-CHACHA20-POLY1305', 'ECDHE-RSA-AES128-SHA256', 'AES256-SHA']) {
    it(`carries messages of any size both ways at once, ${ciphers ?? 'usual cipher'}`, async () => {
      if (ciphers !== undefined) tls = { ...tls, ciphers };
      await dial();
      const sizes = [1, 40, 16_383, 16_384, 16_385, 32_768, 32_769, 200_000, 2];
      const messages = sizes.map((size) => randomBytes(size));
      await Promise.all([
        ...messages.map((message) => client.link.send(message)),
        ...messages.map((message) => server.link.send(message)),
      ]);
      for (const end of [client, server]) {
        await end.until(() => end.messages.length === messages.length);
        assert.ok(end.messages.every((message, index) => message.equals(messages[index]!)));
      }
      // One record of at most 16384 bytes of plaintext in each packet, and FOLLOWING on all but a message's last.
      const expected = sizes.flatMap((size) => {
        const packets = Math.ceil(size / 16_384);
        return [...Array<string>(packets - 1).fill('following'), 'last'];
      });
      for (const seen of [wire.seen.client, wire.seen.server]) {
        const framed = seen.filter((packet) => packet.kind !== 'raw');
        assert.deepEqual(
          framed.map((packet) => packet.kind),
          expected,
        );
        for (const { records } of framed) assert.equal(records.readUInt16BE(3) + 5, records.length);
      }
    });
  }

  it('does not care how the network cuts the stream', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 3 }),
        fc.boolean(),
        async (chunk, sizes, inTurns) => {
          client = new End();
          server = new End();
          wire.chunk = chunk;
          const messages = sizes.map((size) => randomBytes(size));
          await dial(inTurns ? new LoopTurns() : null);
          await Promise.all(messages.map((message) => client.link.send(message)));
          await server.until(() => server.messages.length === messages.length);
          await Promise.all(messages.map((message) => server.link.send(message)));
          await client.until(() => client.messages.length === messages.length);
          for (const end of [client, server]) {
            assert.ok(end.messages.every((message, index) => message.equals(messages[index]!)));
          }
          await client.link.end();
          await client.until(() => client.error !== undefined);
        },
      ),
      { numRuns: 6 },
    );
  });

  it('comes up in turns with many others, whatever becomes of them', async () => {
    const turns = new LoopTurns();
    const { port } = listener.address() as AddressInfo;
    const ends = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const socket = connect(port, '127.0.0.1');
        await once(socket, 'connect');
        const end = new End();
        end.link = FramedTlsLink.client(socket, {}, end.events, turns);
        return end;
      }),
    );
    const leaving = ends.filter((_, i) => i % 4 === 0);
    const gone = leaving.map(({ link }) => assert.rejects(link.secured()));
    // When the server's first bytes wait for their turns.
    turns.run(() => leaving.forEach(({ link }) => link.destroy()));
    const staying = ends.filter((end) => !leaving.includes(end));
    await Promise.all([...gone, ...staying.map(({ link }) => link.secured())]);
    for (const { link } of staying) link.destroy();
  });

  it('tells why the server refused the handshake, although it closes right after', async () => {
    tls = { ...tls, requestCert: true, rejectUnauthorized: true, ciphers: 'PSK' };
    for (const turns of [null, new LoopTurns()]) {
      client = new End();
      await assert.rejects(dial(turns), /handshake failure|alert/);
    }
  });

  it('closes in order without an error at either end', async () => {
    await dial();
    await client.link.send(Buffer.from('last words'));
    await client.link.end();
    await Promise.all([
      client.until(() => client.error !== undefined),
      server.until(() => server.error !== undefined),
    ]);
    assert.deepEqual([client.error, server.error], [null, null]);
    assert.equal(server.messages[0]!.toString(), 'last words');
    await assert.rejects(client.link.send(Buffer.from('too late')));
  });

  for (const [where, cut] of [
    ['inside a packet', 20_000],
    ['inside a packet header', 16_413 + 4 + 2],
    ['between the packets of a message', 16_413 + 4],
  ] as const) {
    it(`knows a message that was cut off ${where}, and delivers nothing of it`, async () => {
      await dial();
      wire.budget = cut;
      server.link.send(randomBytes(100_000)).catch(() => undefined);
      await client.until(() => client.error !== undefined);
      assert.match(client.error!.message, /ended inside a message/);
      assert.equal(client.messages.length, 0);
    });
  }

  it('rejects what was being sent when the link breaks', async () => {
    await dial();
    const sending = client.link.send(randomBytes(5_000_000));
    client.link.destroy();
    await assert.rejects(sending);
  });

  it('closes on a damaged record', async () => {
    await dial();
    const bad = Buffer.concat([
      Buffer.from('00000025', 'hex'),
      Buffer.from('1703030020', 'hex'),
      randomBytes(32),
    ]);
    const near = [...sockets].find((socket) => socket.localPort === (proxy.address() as AddressInfo).port)!;
    near.write(bad);
    await client.until(() => client.error !== undefined);
    assert.ok(client.error);
  });
});
