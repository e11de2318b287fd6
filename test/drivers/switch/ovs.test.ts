import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import {
  DeviceError,
  parseVlanId,
  plainPortId,
  Secret,
  type DeviceCode,
  type ObservedPort,
  type ObservedSwitch,
  type SwitchIntent,
  type SwitchTarget,
  type VlanId,
} from '../../../plugin-api/index.ts';
import { createOvsDriver, ovsSettings } from '../../../src/drivers/switch/ovs/index.ts';
import { JsonSplitter } from '../../../src/drivers/switch/ovs/json-splitter.ts';
import { columnsOf, membershipOf } from '../../../src/drivers/switch/ovs/port-columns.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';

const vlan = parseVlanId;
const [p1, up0] = [plainPortId('p1'), plainPortId('up0')];
const context = { clock: new SystemClock(), log: () => undefined };

function withCode(code: DeviceCode, text: RegExp = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof DeviceError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, text);
    return true;
  };
}

describe('JSON texts in a stream', () => {
  const pushAll = (chunks: readonly string[]): unknown[] => {
    const splitter = new JsonSplitter();
    return chunks.flatMap((chunk) => splitter.push(chunk)).map((text) => JSON.parse(text) as unknown);
  };

  it('come out whole, however the stream is cut', () => {
    const message = fc.dictionary(fc.string(), fc.jsonValue());
    const space = fc.constantFrom('', ' ', '\n', '\r\n\t');
    fc.assert(
      fc.property(
        fc.array(fc.tuple(message, space)),
        fc.array(fc.nat(40), { minLength: 1 }),
        (messages, sizes) => {
          const stream = messages.map(([value, after]) => JSON.stringify(value) + after).join('');
          const chunks: string[] = [];
          for (let at = 0, i = 0; at < stream.length; i += 1) {
            const size = sizes[i % sizes.length]! + 1;
            chunks.push(stream.slice(at, at + size));
            at += size;
          }
          const sent = messages.map(([value]) => JSON.parse(JSON.stringify(value)) as unknown);
          assert.deepEqual(pushAll(chunks), sent);
        },
      ),
    );
  });

  it('are not taken from brackets and quotes inside of strings', () => {
    const tricky = { '}': '{"\\', list: ['[', '\\"]', '\\\\'] };
    assert.deepEqual(pushAll(Array.from(JSON.stringify(tricky))), [tricky]);
  });

  it('are refused where something else begins', () => {
    for (const text of ['HTTP/1.1 400 Bad Request', '"text"', '}', '1', '{} SSH-2.0-OpenSSH'])
      assert.throws(() => pushAll([text]), SyntaxError, text);
  });
});

describe('VLANs in the columns of a port', () => {
  const anyVlan = fc.integer({ min: 1, max: 4094 }).map(vlan);
  const ascending = (vlans: readonly VlanId[]): VlanId[] => [...vlans].sort((a, b) => a - b);

  it('are read as they were written, and never as all VLANs', () => {
    fc.assert(
      fc.property(fc.option(anyVlan), fc.uniqueArray(anyVlan, { maxLength: 20 }), (native, all) => {
        const tagged = ascending(all.filter((id) => id !== native));
        const columns = columnsOf(native, tagged);
        assert.deepEqual(membershipOf(columns), { native, tagged, everything: false, odd: null });
      }),
    );
  });

  // ovs-vswitchd.conf.db(5), table Port: vlan_mode, tag, trunks.
  const cases: readonly (readonly [string, string | null, number | null, number[], string])[] = [
    ['nothing said', null, null, [], 'native none, tagged none, every VLAN'],
    ['a tag alone is an access port', null, 5, [], 'native 5, tagged none'],
    ['trunks alone are a trunk port', null, null, [7, 6], 'native none, tagged 6,7'],
    ['an access port ignores trunks', 'access', 5, [6], 'native 5, tagged none'],
    ['a tag and trunks without a mode are an access port', null, 5, [6], 'native 5, tagged none'],
    ['a trunk port ignores its tag', 'trunk', 5, [6], 'native none, tagged 6'],
    ['4095 is no VLAN', 'trunk', null, [4095], 'native none, tagged none'],
    ['the native VLAN need not be in trunks', 'native-untagged', 5, [6], 'native 5, tagged 6'],
    ['and may be', 'native-untagged', 5, [5, 6], 'native 5, tagged 6'],
    ['no trunks are all VLANs', 'native-untagged', 5, [], 'native 5, tagged none, every VLAN, odd'],
    ['an access port of no VLAN', 'access', null, [], 'native none, tagged none, odd'],
    ['untagged frames in VLAN 0', 'trunk', null, [0, 6], 'native none, tagged 6, odd'],
    ['a mode that is not ours', 'native-tagged', 5, [5, 6], 'native 5, tagged 6, odd'],
    ['another one', 'dot1q-tunnel', 5, [6], 'native 5, tagged 6, odd'],
  ];
  for (const [name, vlanMode, tag, trunks, expected] of cases) {
    it(name, () => {
      const { native, tagged, everything, odd } = membershipOf({ vlanMode, tag, trunks });
      const text = `native ${native ?? 'none'}, tagged ${tagged.join(',') || 'none'}`;
      assert.equal(`${text}${everything ? ', every VLAN' : ''}${odd === null ? '' : ', odd'}`, expected);
    });
  }
});

describe('the plan of the OVS driver', () => {
  const seen = (more: Partial<ObservedPort>): ObservedPort => ({
    native: null,
    tagged: [],
    admin: 'up',
    prepared: true,
    guarded: null,
    ...more,
  });
  const observed = (port: Partial<ObservedPort>, more: Partial<ObservedSwitch> = {}): ObservedSwitch => ({
    defaultVlan: null,
    ports: new Map([
      [p1, seen(port)],
      [up0, seen({ tagged: [vlan(20)] })],
    ]),
    vlans: new Map(),
    unsaved: false,
    ...more,
  });
  const intent = (more: Partial<SwitchIntent>): SwitchIntent => ({
    ports: new Map(),
    uplinks: [up0],
    carried: [],
    retired: [],
    shutDuringMove: true,
    ...more,
  });
  const driver = createOvsDriver(context, { shutBridge: 'dead-end' });
  const lines = (before: ObservedSwitch, wanted: SwitchIntent): readonly string[] =>
    driver.render(driver.plan(before, wanted));

  it('does not shut a port whose VLAN moves, because all happens at once', () => {
    const wanted = intent({ ports: new Map([[p1, { native: vlan(7), tagged: [vlan(8)], admin: 'up' }]]) });
    assert.deepEqual(lines(observed({ native: vlan(5), tagged: [vlan(6)] }), wanted), [
      'bridge: external_ids:csbm-vlan-7=csbm-7',
      'bridge: external_ids:csbm-vlan-8=csbm-8',
      'port p1: trunks - 6',
      'port p1: tag - 5',
      'port p1: tag = 7',
      'port p1: trunks + 8',
    ]);
  });

  it('names the bridge that a shut port goes to, and comes back from', () => {
    const down = intent({ ports: new Map([[p1, { native: null, tagged: [], admin: 'down' }]]) });
    assert.deepEqual(lines(observed({}), down), ['port p1: to bridge dead-end']);
    const up = intent({ ports: new Map([[p1, { native: vlan(5), tagged: [], admin: 'up' }]]) });
    assert.deepEqual(lines(observed({ native: vlan(5), admin: 'down' }), up), [
      'bridge: external_ids:csbm-vlan-5=csbm-5',
      'port p1: back from bridge dead-end',
    ]);
  });

  it('takes a port in no VLAN into the default VLAN', () => {
    const wanted = intent({ ports: new Map([[p1, { native: 'default', tagged: [], admin: 'up' }]]) });
    const steps = driver.plan(observed({}, { defaultVlan: vlan(10) }), wanted);
    assert.ok(steps.some((step) => step.do === 'prepare-port' && step.port === p1));
  });

  it('tells in its own words what to do about a port that it does not prepare', () => {
    const strict = createOvsDriver(context, { preparePorts: false });
    const before = observed({});
    const ports = new Map(before.ports).set(p1, seen({ prepared: false }));
    const wanted = intent({ ports: new Map([[p1, { native: vlan(7), tagged: [], admin: 'up' }]]) });
    assert.throws(
      () => strict.plan({ ...before, ports }, wanted),
      withCode('switch.unprepared', /ovs-vsctl set port.*switch-ovs\.md/),
    );
  });

  it('refuses an uplink that carries every VLAN', () => {
    const before = observed({});
    const ports = new Map(before.ports).set(up0, seen({ prepared: false }));
    assert.throws(
      () => driver.plan({ ...before, ports }, intent({ carried: [vlan(7)] })),
      withCode('switch.unprepared', /vlan_mode=trunk/),
    );
    assert.deepEqual(driver.plan({ ...before, ports }, intent({})), []);
  });
});

describe('the settings of the OVS driver', () => {
  it('refuse what Open vSwitch would', () => {
    assert.throws(() => ovsSettings.parse({ defaultVlan: 0 }));
    assert.throws(() => ovsSettings.parse({ defaultVlan: 4095 }));
    assert.throws(() => ovsSettings.parse({ shutBridge: 'a-name-that-is-too-long' }));
    assert.throws(() => ovsSettings.parse({ brigde: 'br0' }));
    assert.equal(ovsSettings.parse({ defaultVlan: 10 }).defaultVlan, 10);
  });
});

/** What a database server answers to one request: a message, several, or nothing. */
type Script = (request: { id: number; method?: string; params: unknown[] }, socket: Socket) => void;

const bridgeRow = {
  _uuid: ['uuid', 'b'],
  name: 'sw0',
  datapath_type: 'netdev',
  fail_mode: ['set', []],
  controller: ['set', []],
  ports: ['uuid', '1'],
  external_ids: ['map', []],
};
const portRow = {
  _uuid: ['uuid', '1'],
  name: 'p1',
  vlan_mode: 'access',
  tag: 5,
  trunks: ['set', []],
  interfaces: ['uuid', 'i'],
  fake_bridge: false,
};
const rows = [
  { rows: [{ next_cfg: 1, cur_cfg: 1 }] },
  { rows: [bridgeRow] },
  { rows: [portRow] },
  { rows: [{ _uuid: ['uuid', 'i'], type: '' }] },
];

describe('the OVS driver and a database server that misbehaves', () => {
  const folder = mkdtempSync(join(tmpdir(), 'csbm-ovsdb-'));
  const path = join(folder, 'db.sock');
  let server: Server = createServer();
  const sockets = new Set<Socket>();
  const requests: unknown[] = [];

  /** A server that answers the opening as the real one does, and whatever comes then by the script. */
  async function serve(script: Script, opening: Script = behave): Promise<void> {
    let opened = 0;
    server = createServer((socket) => {
      sockets.add(socket);
      const splitter = new JsonSplitter();
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        for (const text of splitter.push(chunk.toString())) {
          const request = JSON.parse(text) as Parameters<Script>[0];
          requests.push(request);
          opened += 1;
          if (opened <= 2) opening(request, socket);
          else script(request, socket);
        }
      });
    });
    server.listen(path);
    await once(server, 'listening');
  }
  const answer = (socket: Socket, id: unknown, result: unknown, error: unknown = null): void =>
    void socket.write(JSON.stringify({ id, result, error }));
  const behave: Script = ({ id, method }, socket) =>
    answer(socket, id, method === 'list_dbs' ? ['Open_vSwitch', '_Server'] : rows);

  const driver = createOvsDriver(context, { commandTimeout: '150ms', applyTimeout: '150ms' });
  const target: SwitchTarget = {
    name: 'tor-a',
    type: 'OVS',
    host: path,
    transport: 'unix',
    port: 0,
    username: '',
    password: new Secret(''),
    legacyCrypto: false,
  };

  afterEach(async () => {
    requests.length = 0;
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  });
  after(() => rmSync(folder, { recursive: true }));

  async function read(): Promise<ObservedSwitch> {
    const session = await driver.open(target);
    try {
      return await session.read([p1]);
    } finally {
      await session.close();
    }
  }

  it('answers its question whether we live', async () => {
    let asked = 0;
    await serve(({ id, method }, socket) => {
      if (method === 'transact') {
        asked = id;
        socket.write(JSON.stringify({ id: 'echo', method: 'echo', params: ['are you there'] }));
        socket.write(JSON.stringify({ id: null, method: 'update', params: ['nobody asked for it'] }));
      } else {
        // Only now it answers what it was asked.
        answer(socket, asked, rows);
      }
    });
    assert.equal((await read()).ports.get(p1)?.native, 5);
    assert.deepEqual(requests.at(-1), { id: 'echo', result: ['are you there'], error: null });
  });

  const failures: Readonly<Record<string, readonly [Script, DeviceCode, RegExp]>> = {
    'ends the connection': [(_, socket) => socket.end(), 'switch.session-lost', /ended the connection/],
    'ends it within an answer': [
      ({ id }, socket) => socket.end(`{"id":${id},"result":[`),
      'switch.session-lost',
      /ended the connection/,
    ],
    'does not answer': [() => undefined, 'switch.timeout', /did not answer "transact" in time/],
    'answers somebody else': [
      ({ id }, socket) => answer(socket, id + 1, rows),
      'switch.timeout',
      /did not answer/,
    ],
    'speaks something else': [
      (_, socket) => void socket.write('SSH-2.0-x\r\n'),
      'switch.protocol',
      /JSON-RPC/,
    ],
    'sends broken JSON': [(_, socket) => void socket.write('{"id":}'), 'switch.protocol', /JSON-RPC/],
    'refuses the request': [
      ({ id }, socket) => answer(socket, id, null, 'unknown database'),
      'switch.refused',
      /unknown database/,
    ],
    'refuses an operation': [
      ({ id }, socket) => answer(socket, id, [{ error: 'unknown column', details: 'no column tag' }, null]),
      'switch.refused',
      /unknown column: no column tag/,
    ],
    'does not permit it': [
      ({ id }, socket) => answer(socket, id, [{ error: 'permission error' }]),
      'switch.auth',
      /permission error/,
    ],
    'answers in part': [
      ({ id }, socket) => answer(socket, id, rows.slice(0, 3)),
      'switch.protocol',
      /in part/,
    ],
    'has other columns': [
      ({ id }, socket) => answer(socket, id, [rows[0], { rows: [{ name: 'sw0' }] }, rows[2], rows[3]]),
      'switch.protocol',
      /not those of Open vSwitch/,
    ],
  };
  for (const [name, [script, code, text]] of Object.entries(failures)) {
    it(`fails plainly when it ${name}`, async () => {
      await serve(script);
      await assert.rejects(read(), withCode(code, text));
    });
  }

  it('refuses a database of something else', async () => {
    await serve(behave, ({ id }, socket) => answer(socket, id, ['OVN_Northbound']));
    await assert.rejects(driver.open(target), withCode('switch.protocol', /OVN_Northbound/));
  });

  it('does not count a batch as done that was never confirmed', async () => {
    await serve(({ id, params }, socket) =>
      params.length > 5 ? socket.destroy() : answer(socket, id, rows),
    );
    const session = await driver.open(target);
    const observed = await session.read([p1]);
    const steps = driver.plan(observed, {
      ports: new Map([[p1, { native: vlan(6), tagged: [], admin: 'up' }]]),
      uplinks: [],
      carried: [],
      retired: [],
      shutDuringMove: true,
    });
    await assert.rejects(session.apply(steps), withCode('switch.session-lost'));
    await session.close();
  });

  it('says where nobody listens, and where it is not allowed in', async () => {
    await assert.rejects(driver.open(target), withCode('switch.unreachable', /tor-a.*ovsdb-server/s));
    const nowhere = { ...target, transport: 'tcp', host: '127.0.0.1', port: 1 };
    await assert.rejects(driver.open(nowhere), withCode('switch.unreachable', /127\.0\.0\.1:1/));
    await assert.rejects(driver.open({ ...target, transport: 'ssh' }), withCode('switch.transport', /"ssh"/));
  });

  it('says that the socket is not for us', async () => {
    await serve(behave);
    chmodSync(path, 0);
    // Root may use every socket, so we are nobody for a moment.
    const root = process.geteuid?.() === 0;
    if (root) process.seteuid!(65_534);
    try {
      await assert.rejects(driver.open(target), withCode('switch.auth', /user of the service/));
    } finally {
      if (root) process.seteuid!(0);
    }
  });

  it('gives up a connection that never comes about', async () => {
    // TLS towards a server that waits for us to begin, and is itself silent.
    await serve(() => undefined);
    const tcp = createServer((socket) => sockets.add(socket)).listen(0, '127.0.0.1');
    await once(tcp, 'listening');
    const { port } = tcp.address() as { port: number };
    const impatient = createOvsDriver(context, { connectTimeout: '100ms' });
    const silent = { ...target, transport: 'ssl', host: '127.0.0.1', port };
    await assert.rejects(impatient.open(silent), withCode('switch.unreachable', /in time/));
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => tcp.close(resolve));
  });
});
