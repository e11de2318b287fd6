import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { parseMac } from '../../../plugin-api/index.ts';
import { broadcast, Fabric, type Frame } from '../../../lab/network/index.ts';
import { FakeEndpoint, FakeService } from './fake-endpoint.ts';
import { FakeSwitch, port } from './fake-switch.ts';

const mac = parseMac('52:54:00:00:00:01');
const discover: Frame = {
  source: mac,
  destination: broadcast,
  payload: { kind: 'dhcp-discover', client: mac, by: 'os' },
};

describe('the fabric', () => {
  let server: net.Server;
  let tor: FakeSwitch;
  let fabric: Fabric;
  let service: FakeService;
  let first: FakeEndpoint;
  let second: FakeEndpoint;

  beforeEach(async () => {
    server = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.pipe(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    tor = new FakeSwitch('tor', { up: port(1, 100, 200, 300), p1: port(100), p2: port(100), p3: port(300) });
    fabric = new Fabric([tor], []);
    const { port: tcpPort } = server.address() as net.AddressInfo;
    service = new FakeService('service', { switch: 'tor', port: 'up' }, 100, tcpPort);
    first = new FakeEndpoint('first', { switch: 'tor', port: 'p1' });
    second = new FakeEndpoint('second', { switch: 'tor', port: 'p2' });
    for (const endpoint of [service, first, second]) fabric.attach(endpoint);
  });

  afterEach(async () => {
    fabric.close();
    server.close();
    await once(server, 'close');
  });

  it('carries bytes to a service, and cuts the connection at once when its port moves, and only that one', async () => {
    const moved = fabric.connect(first, service, null);
    const stays = fabric.connect(second, service, null);
    for (const socket of [moved, stays]) {
      socket.write('hello');
      assert.equal(String((await once(socket, 'data'))[0]), 'hello');
    }
    const cut = once(moved, 'error');
    tor.set('p1', { native: 200 });
    assert.equal(moved.destroyed, true);
    assert.match(
      String((await cut)[0]),
      /first lost service: tor up out tagged 200, where service does not listen/,
    );
    stays.write('still');
    assert.equal(String((await once(stays, 'data'))[0]), 'still');
    stays.destroy();
    await once(stays, 'close');
  });

  for (const [what, change] of [
    ['the uplink loses the VLAN', () => tor.set('up', { tagged: [200, 300] })],
    ['the port is shut', () => tor.set('p1', { up: false })],
  ] as const) {
    it(`cuts a connection when ${what}`, async () => {
      const socket = fabric.connect(first, service, null);
      await once(socket, 'connect');
      const cut = once(socket, 'error');
      change();
      await cut;
      assert.equal(socket.destroyed, true);
    });
  }

  it('refuses a connection without a path, saying where it ends', async () => {
    tor.set('p1', { native: 200 });
    const socket = fabric.connect(first, service, null);
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'EHOSTUNREACH');
  });

  it('lets a broadcast be heard by its VLAN and by nobody else', () => {
    const other = new FakeEndpoint('other', { switch: 'tor', port: 'p3' });
    const router = new FakeEndpoint('router', { switch: 'tor', port: 'up' });
    fabric.attach(other);
    fabric.attach(router);
    const heard = fabric.send(first, discover, null);
    assert.deepEqual(heard.map((e) => e.name).sort(), ['router', 'second', 'service']);
    assert.deepEqual(
      router.heard.map((h) => h.tag),
      [100],
    );
    assert.deepEqual(other.heard, []);
  });

  it('lets a tagged frame in only where the port is a tagged member', () => {
    const router = new FakeEndpoint('router', { switch: 'tor', port: 'up' });
    fabric.attach(router);
    fabric.send(first, discover, 200);
    assert.equal(router.heard.length, 0);
    tor.set('p1', { tagged: [200] });
    fabric.send(first, discover, 200);
    assert.deepEqual(
      router.heard.map((h) => h.tag),
      [200],
    );
  });

  it('delivers a unicast frame to its owner alone', () => {
    const owner = new FakeEndpoint('owner', { switch: 'tor', port: 'p2' }, mac);
    fabric.attach(owner);
    fabric.send(service, { ...discover, destination: mac }, 100);
    assert.equal(owner.heard.length, 1);
    assert.deepEqual([first.heard, second.heard], [[], []]);
  });
});
