import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import type { Duration } from '../../../plugin-api/index.ts';
import { composeBody, parseBody, type ParsedEntry } from '../../../src/wire/cloudstack/body.ts';
import { decodeFrame, encodeFrame } from '../../../src/wire/cloudstack/frame.ts';
import { FramedTlsLink } from '../../../src/wire/cloudstack/framed-tls-link.ts';
import { flagField, textField } from '../../../src/wire/cloudstack/gson-reader.ts';
import { encodeHeader, flag, responseHeader, type FrameHeader } from '../../../src/wire/cloudstack/header.ts';
import { until } from '../../support/until.ts';
import { AgentHarness, authority, facts, fixed, machineId } from './agent-harness.ts';

const api = 'com.cloud.agent.api.';
const stop = `{"${api}StopCommand":{"vmName":"i-2-77-VM","wait":0}}`;

interface Heard {
  readonly header: FrameHeader;
  readonly entries: readonly ParsedEntry[];
}

/** A management server that sends whatever it is told, byte by byte if need be, and writes down what it hears. */
class BareServer {
  readonly heard: Heard[] = [];
  readonly #server: Server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  readonly #sockets = new Set<Socket>();
  readonly #greet: boolean;
  readonly #startupAnswer: string;
  connections = 0;
  link: FramedTlsLink | null = null;
  socket: Socket | null = null;
  #sequence = 2n ** 60n;

  /** Without `greet` it takes connections, and says nothing of its own. */
  constructor({ greet = true, pingInterval = '60' } = {}) {
    this.#greet = greet;
    this.#startupAnswer = `[{"${api}StartupAnswer":{"hostId":0,"pingInterval":${pingInterval},"result":true}}]`;
  }

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  get address(): { host: string; port: number } {
    const { address, port } = this.#server.address() as AddressInfo;
    return { host: address, port };
  }

  /** Header of the next request. */
  header(flags = flag.REQUEST | flag.FROM_SERVER | flag.STOP_ON_ERROR): FrameHeader {
    this.#sequence += 1n;
    return {
      version: 0,
      reserved: 0,
      flags,
      sequence: this.#sequence,
      length: 0,
      mgmtId: 7n,
      agentId: 42n,
      via: 42n,
    };
  }

  /** Sends a request and waits for its answer. */
  async ask(body: string, header = this.header()): Promise<Heard> {
    await this.link!.send(encodeFrame(header, body));
    return this.answer(header);
  }

  async answer({ sequence }: FrameHeader): Promise<Heard> {
    const mine = (): Heard | undefined =>
      this.heard.find(({ header }) => header.sequence === sequence && (header.flags & flag.REQUEST) === 0);
    await until(() => mine() !== undefined, `the answer to ${sequence}`);
    return mine()!;
  }

  pings(): number {
    return this.heard.filter(({ entries }) => entries[0]?.className === `${api}PingRoutingCommand`).length;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(socket: Socket): void {
    this.connections += 1;
    this.#sockets.add(socket);
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    const { keyPem, pem } = authority();
    const link = FramedTlsLink.server(
      socket,
      { key: keyPem, cert: pem },
      { message: (bytes) => this.#receive(link, bytes), closed: () => undefined },
    );
    this.link = link;
  }

  #receive(link: FramedTlsLink, bytes: Buffer): void {
    const { header, text } = decodeFrame(bytes);
    const entries = parseBody(text);
    this.heard.push({ header, entries });
    if (entries[0]?.className !== `${api}StartupRoutingCommand` || !this.#greet) return;
    void link.send(encodeFrame(responseHeader(header), this.#startupAnswer)).catch(() => undefined);
    const ready = `[{"${api}ReadyCommand":{"hostId":42}}]`;
    void link.send(encodeFrame(this.header(), ready)).catch(() => undefined);
  }
}

describe('agent link: hostile frames', () => {
  let harness: AgentHarness;
  let server: BareServer;
  const others: BareServer[] = [];

  async function connect(
    settings: ConstructorParameters<typeof AgentHarness>[0] = {},
    options: ConstructorParameters<typeof BareServer>[0] = {},
  ): Promise<void> {
    harness = new AgentHarness({ pingInterval: 3_600_000 as Duration, ...settings });
    server = await new BareServer(options).start();
    await harness.service.add({
      machineId,
      facts,
      hostId: null,
      endpoint: { servers: [server.address, ...others.map(({ address }) => address)], credentials: fixed() },
    });
  }

  async function up(): Promise<void> {
    await until(() => harness.status.state === 'up', 'the link to be up');
  }

  afterEach(async () => {
    await harness.disconnect();
    await Promise.all([server, ...others.splice(0)].map((one) => one.close()));
  });

  /** Nothing is lost: the same link carries out a good command. */
  async function linkStillWorks(): Promise<void> {
    const before = harness.calls.length;
    const { entries } = await server.ask(`[${stop}]`);
    assert.deepEqual(
      entries.map(({ className, fields }) => [className, flagField(fields, 'result')]),
      [[`${api}StopAnswer`, true]],
    );
    assert.equal(harness.calls.length, before + 1);
    assert.equal(server.connections, 1, 'on the same link');
  }

  describe('a request that cannot be read gets failed answers, and nothing is carried out:', () => {
    const gzip = (text: string, length: number, header: FrameHeader): Buffer =>
      Buffer.concat([
        encodeHeader({ ...header, flags: header.flags | flag.COMPRESSED, length }),
        gzipSync(text),
      ]);
    const plain = (text: string) => (header: FrameHeader) => encodeFrame(header, text);
    const million = 1_000_000;
    const cases: readonly (readonly [
      name: string,
      frame: (header: FrameHeader) => Buffer,
      answers: number,
      details: RegExp,
    ])[] = [
      ['no JSON', plain('not json'), 1, /not JSON/],
      ['nothing', plain(''), 1, /not JSON/],
      ['an object instead of an array', plain(stop), 1, /"\[" expected/],
      ['null instead of an array', plain('null'), 1, /"\[" expected/],
      ['a null element after a good one', plain(`[${stop},null]`), 2, /not JSON/],
      ['an element without a class', plain(`[{},${stop},${stop}]`), 3, /element 0 .*no class name/],
      ['a command that is a number', plain(`[{"${api}StopCommand":1}]`), 1, /an object is expected/],
      ['a cut body', plain(`[{"${api}StopCommand":{"vmName":"i-2-7`), 1, /ends inside/],
      ['bytes behind the end', plain(`[${stop}]]`), 1, /goes on after its end/],
      [
        'a thousand levels',
        plain(`[{"a.B":{"x":${'['.repeat(1_000)}${']'.repeat(1_000)}}}]`),
        1,
        /deeper than 64/,
      ],
      ['a million values', plain(`[{"a.B":{"x":[${'1,'.repeat(million)}1]}}]`), 1, /more than 100000 values/],
      ['a million keys', plain(`[{"a.B":{${'"k":1,'.repeat(million)}"k":1}}]`), 1, /more than 100000 values/],
      [
        'ten thousand commands',
        plain(`[${Array(10_000).fill('{"a.B":{}}').join()}]`),
        1,
        /10000 entries; at most 1000/,
      ],
      ['a class name without end', plain(`[{"${'x'.repeat(million)}":{}}]`), 1, /class name .*more than 500/],
      [
        'no gzip where the header says so',
        (header) =>
          Buffer.concat([
            encodeHeader({ ...header, flags: header.flags | flag.COMPRESSED, length: 99 }),
            Buffer.from('no gzip'),
          ]),
        1,
        /cannot be decompressed/,
      ],
      [
        'gzip that is cut',
        (header) => gzip(`[${stop}]`, stop.length + 2, header).subarray(0, 60),
        1,
        /cannot be decompressed/,
      ],
      [
        'gzip of a length that was not announced',
        (header) => gzip(`[${stop}]`, 5, header),
        1,
        /cannot be decompressed/,
      ],
      [
        'a gzip bomb',
        (header) => gzip(' '.repeat(64 * 2 ** 20), 2 ** 24, header),
        1,
        /cannot be decompressed/,
      ],
      [
        'a gzip bomb that says what it is',
        (header) => gzip('[', 2 ** 31 - 1, header),
        1,
        /2147483647 bytes uncompressed/,
      ],
      ['a negative length', (header) => gzip(`[${stop}]`, -1, header), 1, /announces a body of -1/],
      [
        'a gzip bomb of JSON',
        (header) => gzip(`[{"a.B":{"x":[${'1,'.repeat(8_000_000)}1]}}]`, 16_000_019, header),
        1,
        /more than 100000 values/,
      ],
    ];
    for (const [name, frame, answers, details] of cases)
      it(name, async () => {
        await connect();
        await up();
        const header = server.header(flag.REQUEST | flag.FROM_SERVER | flag.STOP_ON_ERROR | flag.IN_SEQUENCE);
        await server.link!.send(frame(header));
        const { header: answered, entries } = await server.answer(header);
        // Only an answer that carries IN_SEQUENCE releases the next command that waits for the host.
        assert.equal(answered.flags, flag.STOP_ON_ERROR | flag.IN_SEQUENCE);
        assert.deepEqual([answered.mgmtId, answered.agentId], [7n, 42n]);
        assert.deepEqual(
          entries.map(({ className, fields }) => [className, flagField(fields, 'result')]),
          Array(answers).fill([`${api}Answer`, false]),
        );
        const text = textField(entries[0]!.fields, 'details') ?? '';
        assert.match(text, details);
        assert.match(text, /\[agent\.frame\]$/);
        assert.doesNotMatch(text, /i-2-7/, 'bodies carry passwords: none is quoted');
        assert.deepEqual(harness.calls, []);
        await linkStillWorks();
      });

    it('what is no request of a server to an agent is not answered', async () => {
      await connect();
      await up();
      const [cut, old, answer, between] = [
        server.header(),
        server.header(),
        server.header(flag.FROM_SERVER),
        server.header(flag.REQUEST | flag.CONTROL),
      ];
      const version = encodeFrame(old, '[]');
      version.writeUInt8(1, 0);
      const frames = [
        Buffer.from('x'),
        encodeFrame(cut, '').subarray(0, 39),
        version,
        encodeFrame(answer, 'an answer that is no JSON'),
        encodeFrame(between, 'between servers'),
      ];
      for (const frame of frames) await server.link!.send(frame);
      await linkStillWorks();
      assert.equal(harness.logLines.filter((line) => line.includes('malformed frame ignored')).length, 5);
      // Other things may be heard meanwhile: the answer to Ready, a ping.
      const sent = [cut, old, answer, between].map(({ sequence }) => sequence);
      const answered = server.heard.filter(({ header }) => (header.flags & flag.REQUEST) === 0);
      assert.deepEqual(
        answered.filter(({ header }) => sent.includes(header.sequence)),
        [],
      );
    });
  });

  it('a class that nobody knows, or that JavaScript knows, is unsupported', async () => {
    await connect();
    await up();
    const classes = ['a.B', '', '__proto__', 'constructor', 'toString', 'hasOwnProperty', `${api}Nothing`];
    const { entries } = await server.ask(
      composeBody(classes.map((className) => ({ className, text: '{"__proto__":{"polluted":true}}' }))),
      server.header(flag.REQUEST | flag.FROM_SERVER),
    );
    assert.deepEqual(
      entries.map(({ className, fields }) => [className, flagField(fields, 'result')]),
      classes.map(() => [`${api}UnsupportedAnswer`, false]),
    );
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
    await linkStillWorks();
  });

  it('keys of JavaScript, repeated keys and unknown fields in a StartCommand change nothing but what they say', async () => {
    await connect();
    await up();
    const vm =
      '{"name":"i-1-1-VM","name":"i-2-2-VM","id":9007199254740993,"bootArgs":"doPxe","__proto__":{"name":"evil"},' +
      '"constructor":{"prototype":{"polluted":1}},"nics":[{"mac":"06:00:00:00:00:01","deviceId":999999999999999999,' +
      '"mtu":1e400,"defaultNic":"TRUE","broadcastUri":"vlan://200","__proto__":{"defaultNic":false}}, 7, null],' +
      '"details":{"template":"t","toString":"x","__proto__":"y"},"disks":[],"surprise":[{}]}';
    const { entries } = await server.ask(
      `[{"${api}StartCommand":{"vm":{"name":"first"},"vm":${vm},"wait":9223372036854775807}}]`,
    );
    const [answer] = entries;
    assert.equal(answer!.className, `${api}StartAnswer`);
    assert.equal(flagField(answer!.fields, 'result'), true);
    assert.ok(answer!.text.includes(vm), 'the VM goes back as it came');
    const request = harness.calls[0]!.request as unknown as {
      instance: { name: string; id: string };
      nics: object[];
    };
    assert.deepEqual(request.instance.name, 'i-2-2-VM');
    assert.deepEqual(request.instance.id, '9007199254740993');
    assert.equal(request.nics.length, 1);
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
    await linkStillWorks();
  });

  it('a host id that no header can carry is not learned', async () => {
    await connect();
    await up();
    for (const id of ['9223372036854775808', '9999999999999999999', '-5', '"x"', '1e30', '[42]'])
      await server.ask(`[{"${api}ReadyCommand":{"hostId":${id}}}]`);
    assert.deepEqual(harness.savedHostIds, [42n]);
    await linkStillWorks();
  });

  it('a ping interval of a million years is not one of no time at all', async () => {
    await connect({ pingInterval: null }, { pingInterval: '9223372036854775' });
    await up();
    await linkStillWorks();
    // An overflowing timer would have sent hundreds of pings while these went to and fro.
    for (let round = 0; round < 20; round += 1) await linkStillWorks();
    assert.equal(server.pings(), 0);
  });

  describe('whatever the network does to them:', () => {
    /** From now on the server's bytes wait here. */
    function tap(): Buffer[] {
      const bytes: Buffer[] = [];
      const socket = server.socket!;
      socket.write = (chunk: Buffer, done?: unknown) => {
        bytes.push(Buffer.from(chunk));
        if (typeof done === 'function') (done as () => void)();
        return true;
      };
      return bytes;
    }

    const drip = async (byte: Buffer): Promise<void> => {
      const { prototype } = server.socket!.constructor as { prototype: Socket };
      prototype.write.call(server.socket, byte);
      await new Promise((resolve) => setImmediate(resolve));
    };

    it('several frames in one packet are all carried out', async () => {
      await connect();
      await up();
      const held = tap();
      const headers = [server.header(), server.header(), server.header()];
      for (const header of headers)
        await server.link!.send(encodeFrame(header, header === headers[1] ? 'nonsense' : `[${stop}]`));
      await drip(Buffer.concat(held));
      const answers = await Promise.all(headers.map((header) => server.answer(header)));
      assert.deepEqual(
        answers.map(({ entries }) => flagField(entries[0]!.fields, 'result')),
        [true, false, true],
      );
      assert.equal(harness.calls.length, 2);
    });

    it('a command that comes one byte at a time is carried out when it is whole', async () => {
      await connect();
      await up();
      const held = tap();
      const header = server.header();
      await server.link!.send(encodeFrame(header, `[${stop}]`));
      const bytes = Buffer.concat(held);
      for (let at = 0; at < bytes.length - 1; at += 1) await drip(bytes.subarray(at, at + 1));
      assert.deepEqual(harness.calls, []);
      await drip(bytes.subarray(-1));
      await server.answer(header);
      assert.equal(harness.calls.length, 1);
    });

    it('a command that is cut off by the end of the connection is not carried out; the link comes back', async () => {
      await connect();
      await up();
      const held = tap();
      await server.link!.send(encodeFrame(server.header(), `[${stop}]`));
      await drip(Buffer.concat(held).subarray(0, -1));
      server.socket!.end();
      await until(() => server.connections === 2 && harness.status.state === 'up', 'the next link');
      assert.deepEqual(harness.calls, []);
      const { entries } = await server.ask(`[${stop}]`);
      assert.equal(flagField(entries[0]!.fields, 'result'), true);
    });

    it('a server that says one byte now and then, for ever, is given up for another one', async () => {
      const other = await new BareServer().start();
      others.push(other);
      await connect({ pingInterval: 50 as Duration, unansweredPings: 3 });
      await up();
      const held = tap();
      await server.link!.send(encodeFrame(server.header(), `[{"a.B":{"x":"${'x'.repeat(8_000)}"}}]`));
      const bytes = Buffer.concat(held);
      let at = 0;
      const dripping = setInterval(() => {
        if (at < bytes.length - 100) void drip(bytes.subarray(at, ++at));
      }, 5);
      try {
        await until(() => other.connections > 0 && harness.status.state === 'up', 'the other server');
      } finally {
        clearInterval(dripping);
      }
      assert.ok(harness.logLines.some((line) => /3 pings in a row got no answer/.test(line)));
    });

    it('a server that says nothing after the handshake is given up for another one', async () => {
      const other = await new BareServer().start();
      others.push(other);
      await connect({ startupTimeout: 200 as Duration }, { greet: false });
      await until(() => other.connections > 0 && harness.status.state === 'up', 'the other server');
      assert.ok(harness.logLines.some((line) => /no StartupAnswer in time/.test(line)));
    });
  });
});

describe('agent link: a handshake that drips', () => {
  it('is given up in time, without a word to whoever does it', async () => {
    const harness = new AgentHarness({ handshakeTimeout: 150 as Duration });
    const record = Buffer.alloc(16_384 + 5, 0);
    record.set([22, 3, 3, 0x40, 0]);
    let connections = 0;
    const timers = new Set<NodeJS.Timeout>();
    const server = createServer((socket) => {
      connections += 1;
      let at = 0;
      const timer = setInterval(() => socket.write(record.subarray(at, ++at)), 5);
      timers.add(timer);
      socket.resume();
      socket.on('error', () => undefined);
      socket.on('close', () => clearInterval(timer));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      await harness.service.add({
        machineId,
        facts,
        hostId: null,
        endpoint: { servers: [{ host: '127.0.0.1', port }], credentials: fixed() },
      });
      await until(() => connections >= 2, 'another attempt');
      assert.ok(harness.logLines.some((line) => /no TLS handshake in time/.test(line)));
    } finally {
      await harness.disconnect();
      for (const timer of timers) clearInterval(timer);
      server.close();
      await once(server, 'close');
    }
  });
});
