import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { DeviceError, milliseconds, type BmcConsole } from '../../plugin-api/index.ts';
import { ConsoleDoor, type ConsoleDoorOptions } from '../../src/api/admin/console-door.ts';
import { OutputQueue } from '../../src/drivers/power/ipmi/output-queue.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { ServiceError } from '../../src/kernel/errors/service-error.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { consoleProtocol } from '../../src/wire/console/console-frame.ts';
import { csbm, type Ended } from '../cli/run-csbm.ts';

/** A console whose BMC takes no characters. */
function deafConsole(): BmcConsole {
  const output = new OutputQueue();
  output.push(Buffer.from('login: '));
  return {
    output,
    write: () =>
      Promise.reject(
        new DeviceError({ code: 'power.busy', what: 'the BMC takes no characters: it may be off' }),
      ),
    sendBreak: async () => undefined,
    close: async () => output.end(null),
  };
}

/**
 * A BMC that took no characters ended the console without a word, and so did a service that died: the command ended well. A connection
 * that was reset was told as a fault of csbm's own. And a console that was asked for while the service stopped was opened, and the
 * service waited for its end.
 */
describe('regression: a console that ends', () => {
  let server: Server;
  let door: ConsoleDoor;
  let url = '';
  /** What the token is answered with next; after that it is right. */
  let refusals: Error[] = [];
  const sockets = new Set<Socket>();

  beforeEach(async () => {
    refusals = [];
    door = new ConsoleDoor({
      access: {
        authenticate: async () => {
          const refused = refusals.shift();
          if (refused) throw refused;
          return { name: 'ann', role: 'admin', scope: '' };
        },
      },
      machines: { commanded: async () => ({ hostname: 'node-1' }) },
      power: { console: async () => deafConsole() },
      clock: new SystemClock(),
      lookEvery: milliseconds(50),
      log: createLog({ level: 'silent' }),
    } as unknown as ConsoleDoorOptions);
    server = createServer();
    server.on('connection', (socket: Socket) => void sockets.add(socket));
    door.attach(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    await door.close();
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    await new Promise((resolve) => server.close(resolve));
  });

  const sit = (keys: string, onOutput?: (soFar: string) => void): Promise<Ended> =>
    csbm(['console', 'node-1'], {
      env: { CSBM_URL: url, CSBM_TOKEN: 'token' },
      keys,
      ...(onOutput && { onOutput }),
    });

  it('says so when the BMC does not take what is typed', async () => {
    const { code, err } = await sit('root\r');
    assert.equal(code, 1);
    assert.match(err, /takes no characters: it may be off \[power\.busy\]/);
  });

  for (const [how, cut] of [
    ['is closed', (socket: Socket) => socket.end()],
    ['is reset', (socket: Socket) => socket.resetAndDestroy()],
  ] as const)
    it(`says so when the connection ${how}`, async () => {
      const { code, err } = await sit('', () => {
        for (const socket of sockets) cut(socket);
      });
      assert.equal(code, 3);
      assert.match(err, /the service does not answer \[service\.unreachable\]/);
    });

  it('ends well when its user leaves', async () => {
    assert.equal((await sit('~.')).code, 0);
  });

  it('ends when the token does, and not while the database is away', async () => {
    const { code, err } = await sit('', () => {
      const away = new ServiceError({ code: 'store.unavailable', what: 'the database is away' });
      refusals = [
        away,
        away,
        new ServiceError({ code: 'request.unauthenticated', what: 'the token is not valid' }),
      ];
    });
    assert.equal(code, 1);
    assert.match(err, /the token is not valid/);
  });

  it('is not begun any more when the service stops', async () => {
    await door.close();
    const asked = request(`${url}/api/v1/machines/node-1/console`, {
      headers: { connection: 'Upgrade', upgrade: consoleProtocol, authorization: 'Bearer token' },
    });
    asked.end();
    const [answer] = (await Promise.race([once(asked, 'response'), once(asked, 'upgrade')])) as [
      IncomingMessage,
    ];
    assert.match(await text(answer), /the service stops/);
  });
});
