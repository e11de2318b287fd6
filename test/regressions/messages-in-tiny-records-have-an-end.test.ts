import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { FramedTlsLink } from '../../src/wire/cloudstack/framed-tls-link.ts';
import { FramedTlsTransport } from '../../src/wire/cloudstack/framed-tls-transport.ts';
import { maxFrameRecords, maxQueuedBytes } from '../../src/wire/cloudstack/limits.ts';
import { authority } from '../api/cloudstack-agent/agent-harness.ts';

describe('a peer that uses up memory', function () {
  this.timeout(60_000);
  const sockets = new Set<Socket>();
  /** Our end of a link, and the socket of a peer that may do what it likes. */
  async function pair(): Promise<{ socket: Socket; link: FramedTlsLink; ended: Promise<Error | null> }> {
    let accepted: (found: { link: FramedTlsLink; ended: Promise<Error | null> }) => void;
    const found = new Promise<{ link: FramedTlsLink; ended: Promise<Error | null> }>(
      (resolve) => (accepted = resolve),
    );
    const server = createServer((socket) => {
      sockets.add(socket.on('error', () => undefined));
      let close: (error: Error | null) => void;
      const ended = new Promise<Error | null>((resolve) => (close = resolve));
      const { keyPem, pem } = authority();
      const link = FramedTlsLink.server(
        socket,
        { key: keyPem, cert: pem },
        { message: () => undefined, closed: (error) => close(error) },
      );
      accepted({ link, ended });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    sockets.add(socket.on('error', () => undefined));
    server.unref();
    const ours = await found;
    server.close();
    return { socket, ...ours };
  }
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  });

  // The limit counted bytes of text only: sixteen million records of one byte each are sixteen million buffers.
  it('by a message of one byte in each record loses the link', async () => {
    const { socket, ended } = await pair();
    const transport = new FramedTlsTransport(socket);
    transport.on('error', () => undefined);
    const tls = connectTls({ socket: transport, rejectUnauthorized: false, maxVersion: 'TLSv1.2' });
    tls.on('error', () => undefined);
    await once(tls, 'secureConnect');
    transport.more = true;
    let error: Error | null | undefined;
    void ended.then((reason) => (error = reason));
    for (let i = 0; i < maxFrameRecords + 2 && error === undefined; i += 1)
      await new Promise<void>((resolve) => tls.write('x', () => resolve()));
    tls.destroy();
    assert.match(String((await ended)?.message), /more than 16384 TLS records/);
  });

  // What was sent to a peer that does not read waited without limit, until pings told: minutes in which it may command on.
  it('by not reading what it asked for loses the link', async () => {
    const { socket, link, ended } = await pair();
    const peer = FramedTlsLink.client(socket, {}, { message: () => undefined, closed: () => undefined });
    await Promise.all([peer.secured(), link.secured()]);
    socket.pause();
    const message = Buffer.alloc(maxQueuedBytes / 4);
    const sent = Array.from({ length: 6 }, () => link.send(message).catch((thrown: unknown) => thrown));
    assert.match(String((await ended)?.message), /does not read/);
    await Promise.all(sent);
  });
});
