import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, truncateSync } from 'node:fs';
import { open } from 'node:fs/promises';
import http from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import fc from 'fast-check';
import { seconds } from '../../../plugin-api/index.ts';
import { startFileSender, type FileSender } from '../../../src/api/boot/file-sender.ts';
import { deployOrder, machineOf, quiet } from '../../operations/boot/boot-samples.ts';
import { requirePeer } from '../../support/peers.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';
import { until } from '../../support/until.ts';
import { bootFolder, inOnePiece, request, startBootFloor, type BootFloor } from './boot-floor.ts';

// Larger than what both ends of a connection buffer, so that a client which does not read stops the transfer in its middle.
// Its first byte begins no known format.
const image = Buffer.concat([Buffer.alloc(1), randomBytes(24 * 1024 * 1024 + 4_321)]);
const sum = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const sha256 = sum(image);
const imagePath = '/boot/v1/agent/image';

/** A sender that tells what came of each transfer. */
function watched(sender: FileSender): FileSender & { readonly outcomes: string[] } {
  const outcomes: string[] = [];
  return {
    outcomes,
    send: async (...args) => {
      const outcome = await sender.send(...args).catch((error: unknown) => {
        outcomes.push('failed');
        throw error;
      });
      outcomes.push(outcome);
      return outcome;
    },
    close: () => sender.close(),
  };
}

const openFiles = (): number => readdirSync('/proc/self/fd').length;

for (const way of ['by Node', 'by the kernel'] as const) {
  describe(`image transfer ${way}`, () => {
    let temp: TempStorage;
    let folder: ReturnType<typeof bootFolder>;
    let floor: BootFloor;
    let token: string;
    let path: string;
    let outcomes: readonly string[] | null = null;

    /** The service, and with it the thread, anew on the same storage. */
    async function serve(idleTimeout = seconds(60)): Promise<boolean> {
      const started = way === 'by the kernel' ? await startFileSender(quiet) : null;
      const sender = started && watched(started);
      outcomes = sender?.outcomes ?? null;
      floor = await startBootFloor({
        storage: temp.storage,
        folder: folder.folder,
        limits: { idleTimeout },
        sender,
      });
      return way === 'by Node' || sender !== null;
    }

    beforeEach(async function () {
      temp = await tempStorage();
      folder = bootFolder();
      await temp.storage.run((tx) => tx.machines.insert(machineOf()));
      const asSaid = await serve();
      requirePeer(this, 'koffi', () => asSaid);
      await floor.images.add(
        { name: 'tiny', canBond: true, firstBoot: 'nocloud', aliases: [] },
        inOnePiece(image),
      );
      path = (await floor.images.file('tiny'))!.path;
      const order = deployOrder();
      await floor.boots.place(order);
      await temp.storage.run((tx) => floor.boots.arm(tx, order.id));
      const script = await request(floor.base, '/boot/v1/script?mac=52-54-00-AA-00-01&platform=pcbios');
      token = /csbm\.token=(\S+)/.exec(script.body.toString())![1]!;
    });

    afterEach(async () => {
      await floor.close();
      await temp.close();
      folder.remove();
    });

    const head = (more = '', method = 'GET'): string =>
      `${method} ${imagePath} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n${more}\r\n`;

    async function connected(): Promise<Socket> {
      const socket = net.connect(floor.port, '127.0.0.1');
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      return socket;
    }

    /** A client in the middle of a transfer that has stopped for it: nobody reads. */
    async function stalled(): Promise<Socket> {
      const socket = await connected();
      socket.write(head());
      await once(socket, 'readable');
      return socket;
    }

    async function rest(socket: Socket): Promise<Buffer> {
      const chunks: Buffer[] = [];
      socket.on('data', (chunk) => chunks.push(chunk));
      await (socket.closed ? undefined : once(socket, 'close'));
      return Buffer.concat(chunks);
    }

    it('is exact, and past Node where it is said to be', async () => {
      const { status, headers, body } = await request(floor.base, imagePath, {
        headers: { authorization: `Bearer ${token}` },
      });
      assert.equal(status, 200);
      assert.equal(headers['content-length'], String(image.length));
      assert.equal(sum(body), sha256);
      if (outcomes === null) return;
      // The client has the last byte before the service has heard so from its thread.
      await until(() => outcomes!.length > 0, 'the outcome');
      assert.deepEqual(outcomes, ['sent']);
    });

    it('is exact for any range', async () => {
      const position = fc.oneof(
        fc.nat(image.length - 1),
        fc.constantFrom(0, 65_535, 65_536, 65_537, image.length - 65_537, image.length - 1),
      );
      await fc.assert(
        fc.asyncProperty(position, position, async (a, b) => {
          const [start, end] = a < b ? [a, b] : [b, a];
          const { status, headers, body } = await request(floor.base, imagePath, {
            headers: { authorization: `Bearer ${token}`, range: `bytes=${start}-${end}` },
          });
          assert.equal(status, 206);
          assert.equal(headers['content-length'], String(end - start + 1));
          assert.ok(body.equals(image.subarray(start, end + 1)));
        }),
        { numRuns: 10 },
      );
    });

    it('comes to many at once, exact', async () => {
      const sums = await Promise.all(
        Array.from({ length: 10 }, async () => {
          const sent = http.get(`${floor.base}${imagePath}`, {
            headers: { authorization: `Bearer ${token}` },
            agent: false,
          });
          const [answer] = (await once(sent, 'response')) as [http.IncomingMessage];
          const hash = createHash('sha256');
          for await (const chunk of answer) hash.update(chunk as Buffer);
          return hash.digest('hex');
        }),
      );
      assert.deepEqual(new Set(sums), new Set([sha256]));
    });

    it('keeps its place among requests that were sent without waiting', async () => {
      const socket = await connected();
      const small = 'GET /boot.ipxe HTTP/1.1\r\nhost: x\r\n\r\n';
      socket.write(
        small +
          head() +
          head('', 'HEAD') +
          head('range: bytes=100000-300000\r\n') +
          small +
          head('connection: close\r\n'),
      );
      let bytes = await rest(socket);
      const next = (length: number | null): Buffer => {
        const end = bytes.indexOf('\r\n\r\n') + 4;
        const told = Number(/content-length: (\d+)/i.exec(bytes.subarray(0, end).toString())![1]);
        const body = bytes.subarray(end, end + (length ?? told));
        bytes = bytes.subarray(end + body.length);
        return body;
      };
      assert.match(next(null).toString(), /^#!ipxe\n/);
      assert.equal(sum(next(null)), sha256);
      assert.equal(next(0).length, 0);
      assert.ok(next(null).equals(image.subarray(100_000, 300_001)));
      assert.match(next(null).toString(), /^#!ipxe\n/);
      assert.equal(sum(next(null)), sha256);
      assert.equal(bytes.length, 0);
    });

    it('leaves nothing to the connection that comes after one that broke', async () => {
      const before = openFiles();
      for (let round = 0; round < 12; round += 1) {
        // Descriptors are given out lowest first: the newcomers on the server get those that the broken ones had.
        const broken = await Promise.all(Array.from({ length: 4 }, stalled));
        for (const socket of broken) socket.resetAndDestroy();
        const newcomers = await Promise.all(Array.from({ length: 8 }, connected));
        await Promise.all(
          newcomers.map(async (socket) => {
            socket.write('GET /boot.ipxe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
            const answer = (await rest(socket)).toString('latin1');
            const exact = /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n#!ipxe\n[^]*goto ask\n$/.test(answer);
            assert.ok(exact, `something else than the script came, in ${answer.length} bytes`);
          }),
        );
      }
      await until(() => openFiles() <= before, 'the descriptors of the broken transfers to be closed');
    });

    it('ends when the client takes nothing for too long', async () => {
      await floor.close();
      await serve(seconds(0.5));
      const socket = await stalled();
      // Read only after the server has given up: what arrives then is what was under way.
      await until(() => floor.logged().includes(`"path":"${imagePath}","remote"`), 'the request to be over');
      const bytes = await rest(socket);
      assert.ok(bytes.length < image.length);
    });

    it('breaks the connection when the file becomes shorter meanwhile', async () => {
      const socket = await stalled();
      truncateSync(path, 12 * 1024 * 1024);
      const bytes = await rest(socket);
      const body = bytes.subarray(bytes.indexOf('\r\n\r\n') + 4);
      assert.ok(body.length > 0 && body.length < image.length);
    });

    it('ends with the service', async () => {
      const socket = await stalled();
      const closed = floor.close();
      const bytes = await rest(socket);
      await closed;
      assert.ok(bytes.length < image.length);
      await serve();
    });
  });
}

describe('file sender', () => {
  let sender: FileSender;
  let server: net.Server;
  const sockets: Socket[] = [];

  before(async function () {
    const started = await startFileSender(quiet);
    requirePeer(this, 'koffi', () => started !== null);
    sender = started!;
    server = net.createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  after(async () => {
    await sender.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  /** Both ends of a connection. */
  async function pair(): Promise<readonly [Socket, Socket]> {
    const known = sockets.length;
    const client = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.on('error', () => undefined);
    sockets.push(client);
    await until(() => sockets.length >= known + 2, 'the connection');
    return [client, sockets.at(-1)!];
  }

  const here = new URL(import.meta.url);
  const never = new AbortController().signal;

  it('leaves connections under TLS, busy and closed ones to Node', async () => {
    const file = await open(here);
    try {
      const range = { start: 0, end: 9 };
      const [, plain] = await pair();
      assert.equal(
        await sender.send(new TLSSocket(plain, { isServer: true }), file, range, never),
        'refused',
      );
      const [, busy] = await pair();
      busy.write(Buffer.alloc(64 * 1024 * 1024));
      assert.equal(await sender.send(busy, file, range, never), 'refused');
      const [, closed] = await pair();
      closed.destroy();
      assert.equal(await sender.send(closed, file, range, never), 'refused');
    } finally {
      await file.close();
    }
  });

  it('leaves to Node what no file system can send', async () => {
    const folder = await open(new URL('.', here));
    try {
      const [, socket] = await pair();
      assert.equal(await sender.send(socket, folder, { start: 0, end: 9 }, never), 'refused');
    } finally {
      await folder.close();
    }
  });

  it('holds up no other transfer while one waits for a disk that does not answer', async () => {
    const own = (await startFileSender(quiet, { threads: 2, stuckAfter: 200 }))!;
    const [zeroes, file] = await Promise.all([open('/dev/zero'), open(here)]);
    const short = (socket: Socket): Promise<string> => own.send(socket, file, { start: 0, end: 9 }, never);
    try {
      // The system call does not come back, as with such a disk: the connection blocks, takes little, and nobody reads.
      const [client, blocked] = await pair();
      blocked.on('error', () => undefined);
      const { default: koffi } = await import('koffi');
      const library = koffi.load(null);
      const fcntl = library.func('fcntl', 'int', ['int', 'int', '...']);
      const setsockopt = library.func('setsockopt', 'int', ['int', 'int', 'int', 'void *', 'uint32_t']);
      const { fd } = (blocked as unknown as { readonly _handle: { readonly fd: number } })._handle;
      const [setFlags, solSocket, soSndbuf] = [4, 1, 7];
      assert.equal(fcntl(fd, setFlags, 'int', 0), 0);
      assert.equal(setsockopt(fd, solSocket, soSndbuf, Int32Array.of(4_096), 4), 0);
      const stuck = own.send(blocked, zeroes, { start: 0, end: 1024 ** 4 }, never);
      const begun = performance.now();
      await until(async () => {
        const [, socket] = await pair();
        assert.equal(await short(socket), 'sent');
        return performance.now() - begun > 1_000;
      }, 'transfers one after another');
      // More than the stuck thread has; it gets none of them.
      const others: Socket[] = [];
      while (others.length < 8) others.push((await pair())[1]);
      assert.deepEqual(new Set(await Promise.all(others.map(short))), new Set(['sent']));
      client.destroy();
      assert.equal(await stuck, 'broken');
    } finally {
      await own.close();
      await Promise.all([zeroes.close(), file.close()]);
    }
  });

  it('says that a transfer is broken when it is closed meanwhile, and refuses the next', async () => {
    const own = (await startFileSender(quiet))!;
    const file = await open('/dev/zero');
    try {
      const [, socket] = await pair();
      const sending = own.send(socket, file, { start: 0, end: 1024 ** 4 }, never);
      await own.close();
      assert.equal(await sending, 'broken');
      assert.equal(await own.send(socket, file, { start: 0, end: 9 }, never), 'refused');
    } finally {
      await file.close();
    }
  });
});
