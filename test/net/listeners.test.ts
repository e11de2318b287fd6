import assert from 'node:assert/strict';
import { once } from 'node:events';
import https from 'node:https';
import http from 'node:http';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { until } from '../support/until.ts';
import { directToken, ServiceProcess } from './service-process.ts';

/** Attackers come from an address of their own, so that what they are counted by is not that of everybody. */
const attacker = '127.0.0.66';
const perAddress = 40;

/** How long a slow client may take until it is closed, in milliseconds: the settings below, several times over, on a loaded machine. */
const end = 20_000;

describe('every listener, under hostile clients', function () {
  this.timeout(120_000);
  const service = new ServiceProcess(
    `{connectionsPerAddress: ${perAddress}, headersTimeout: 2s, bodyTimeout: 2s, idleTimeout: 3s, readerPatience: 1s, bodyMemoryMiB: 16, failedLogins: 1000}`,
  );
  const open = new Set<Socket>();
  before(() => service.start());
  after(() => service.stop());
  afterEach(() => {
    for (const socket of open) socket.destroy();
    open.clear();
  });

  type Listener = 'admin' | 'boot' | 'direct' | 'maas';
  const listeners: readonly Listener[] = ['admin', 'boot', 'direct', 'maas'];
  const urlOf = (listener: Listener): URL => new URL(service.urls[`${listener}Url`]);

  /** A connection of the attacker's, after the handshake where there is one. */
  async function attack(listener: Listener, plain = false): Promise<Socket> {
    const port = Number(urlOf(listener).port);
    const raw = connect({ port, host: '127.0.0.1', localAddress: attacker });
    raw.on('error', () => undefined);
    open.add(raw);
    if (listener !== 'admin' || plain) {
      await either(raw, 'connect');
      return raw;
    }
    const tls = connectTls({ socket: raw, ca: service.ca, host: '127.0.0.1' });
    tls.on('error', () => undefined);
    await either(tls, 'secureConnect');
    return tls;
  }

  /** What somebody decent is answered meanwhile. */
  async function ask(listener: Listener): Promise<number> {
    const [path, authorization] = {
      admin: ['/api/v1/health', `Bearer ${service.token}`],
      boot: ['/boot.ipxe', ''],
      direct: ['/cloudstack/direct/hosts/none/status', `Bearer ${directToken}`],
      maas: ['/MAAS/api/2.0/version/', ''],
    }[listener] as [string, string];
    const client = listener === 'admin' ? https : http;
    return new Promise((resolve, reject) => {
      const request = client.get(
        new URL(path, urlOf(listener)),
        { ca: service.ca, agent: false, headers: authorization ? { authorization } : {} },
        (answer) => {
          answer.resume();
          answer.on('end', () => resolve(answer.statusCode ?? 0));
        },
      );
      request.on('error', reject);
    });
  }

  /** Within the time that a person waits; on a loaded machine a handshake may meet its own limit. */
  async function servesOthers(listener: Listener): Promise<void> {
    const wanted = listener === 'direct' ? 404 : 200;
    await until(async () => (await ask(listener).catch(() => 0)) === wanted, `${listener} to answer`, 10_000);
  }

  /** Writes one byte now and then; gives up when the other side does. */
  function drip(socket: Socket, bytes: string): void {
    let at = 0;
    const timer = setInterval(() => {
      if (socket.destroyed) clearInterval(timer);
      else socket.write(bytes[at++ % bytes.length]!);
    }, 50);
    socket.once('close', () => clearInterval(timer));
    socket.resume();
  }

  async function allClosed(sockets: readonly Socket[], what: string): Promise<void> {
    await until(() => sockets.every(({ destroyed }) => destroyed), what, end);
  }

  for (const listener of listeners) {
    it(`${listener}: headers that drip, clients that say nothing, and bodies that drip are closed in time`, async () => {
      const said = {
        headers: 'GET / HTTP/1.1\r\nhost: x\r\nx: ',
        silent: '',
        body: 'POST /MAAS/accounts/authenticate/ HTTP/1.1\r\nhost: x\r\ncontent-length: 9999\r\n\r\n',
        chunks: 'POST /healthz HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffff\r\n',
      };
      const sockets: Socket[] = [];
      for (const first of Object.values(said))
        for (let i = 0; i < 4; i += 1) {
          const socket = await attack(listener);
          sockets.push(socket);
          if (first === '') socket.resume();
          else {
            socket.write(first);
            drip(socket, 'a');
          }
        }
      await servesOthers(listener);
      await allClosed(sockets, 'the slow clients to be closed');
      await servesOthers(listener);
    });

    it(`${listener}: one address cannot have all connections`, async () => {
      const sockets = await Promise.all(
        Array.from({ length: perAddress + 30 }, () => attack(listener, true)),
      );
      await until(
        () => sockets.filter(({ destroyed }) => destroyed).length >= 30,
        'the last ones to be closed',
        end,
      );
      assert.ok(sockets.filter(({ destroyed }) => !destroyed).length <= perAddress);
      await servesOthers(listener);
    });

    it(`${listener}: a hundred headers are enough`, async () => {
      // The connections of before may still be counted.
      await until(async () => {
        const socket = await attack(listener);
        let answer = '';
        socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
        socket.write(`GET / HTTP/1.1\r\n${'a:\r\n'.repeat(200)}host: x\r\n\r\n`);
        await either(socket, 'end');
        return /^HTTP\/1\.1 431 /.test(answer);
      }, 'the refusal');
    });
  }

  it('a TLS handshake that drips is given up', async () => {
    const sockets = await Promise.all(Array.from({ length: 8 }, () => attack('admin', true)));
    for (const socket of sockets) {
      socket.write(Buffer.from([22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc]));
      drip(socket, '\0');
    }
    await servesOthers('admin');
    await allClosed(sockets, 'the handshakes to be given up');
  });

  it('a console that is asked for without a token is refused, and its connection is not kept', async () => {
    const socket = await attack('admin');
    socket.write(
      'GET /api/v1/machines/x/console HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: csbm-console/1\r\n\r\n',
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 401 /);
    drip(socket, 'a');
    await allClosed([socket], 'the connection to be closed');
  });

  it('requests that are sent on and on while no answer is read do not fill the memory', async () => {
    const before = service.rss;
    const sockets = await Promise.all(Array.from({ length: 10 }, () => attack('maas')));
    const request = 'GET /MAAS/api/2.0/describe/ HTTP/1.1\r\nhost: x\r\n\r\n';
    for (const socket of sockets) {
      socket.pause();
      socket.write(request.repeat(2_000));
    }
    await servesOthers('maas');
    // A client that does not read does not see that it was cut, either.
    await until(async () => (await connections()) <= 2, 'those who do not read to be cut', end);
    await servesOthers('maas');
    assert.ok(service.rss - before < 256 * 2 ** 20, `${(service.rss - before) / 2 ** 20} MiB more`);
  });

  it('bodies without end, on every listener at once, leave the memory flat', async () => {
    const before = service.rss;
    const body = Buffer.alloc(64 * 1024, 0x61);
    const floods = listeners.flatMap((listener) =>
      Array.from({ length: perAddress - 2 }, async () => {
        const socket = await attack(listener);
        socket.resume();
        socket.write(
          `POST /MAAS/accounts/authenticate/ HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n`,
        );
        for (let i = 0; i < 40 && !socket.destroyed; i += 1) {
          const more = socket.write(Buffer.concat([Buffer.from('10000\r\n'), body, Buffer.from('\r\n')]));
          if (!more) await either(socket, 'drain');
        }
        return socket;
      }),
    );
    for (const listener of listeners) await servesOthers(listener);
    await allClosed(await Promise.all(floods), 'the floods to be closed');
    const grown = service.rss - before;
    assert.ok(grown < 256 * 2 ** 20, `${grown / 2 ** 20} MiB more`);
    for (const listener of listeners) await servesOthers(listener);
  });

  it('what was refused is counted', async () => {
    const text = await metrics();
    for (const listener of listeners)
      for (const reason of ['too-many-from-address', 'too-many-headers'])
        assert.match(
          text,
          new RegExp(`csbm_refused_total\\{listener="${listener}",reason="${reason}"\\} \\d`),
        );
  });

  function metrics(): Promise<string> {
    return new Promise((resolve, reject) => {
      https
        .get(
          new URL('/metrics', urlOf('admin')),
          { ca: service.ca, agent: false, headers: { authorization: `Bearer ${service.token}` } },
          (answer) => {
            let said = '';
            answer.on('data', (chunk: Buffer) => (said += chunk.toString()));
            answer.on('end', () => resolve(said));
          },
        )
        .on('error', reject);
    });
  }

  /** TCP connections that the service has, the one that asks among them. */
  async function connections(): Promise<number> {
    return Number(/nodejs_active_resources\{type="TCPSocketWrap"\} (\d+)/.exec(await metrics())?.[1] ?? 0);
  }
});

/** The event, or the end of the socket. */
function either(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off(event, done).off('close', done);
      resolve();
    };
    if (socket.destroyed) done();
    else socket.on(event, done).on('close', done);
  });
}
