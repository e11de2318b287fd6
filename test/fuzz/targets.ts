import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { CodedError } from '../../plugin-api/index.ts';
import { parseRackConfig } from '../../rack-config/index.ts';
import { progressMessage, resultMessage } from '../../src/api/boot/agent-messages.ts';
import { bootApp, type BootAppOptions } from '../../src/api/boot/boot-app.ts';
import { handlers } from '../../src/api/maas/handlers/index.ts';
import { maasApp } from '../../src/api/maas/maas-app.ts';
import type { MaasContext } from '../../src/api/maas/maas-context.ts';
import { parseLeases } from '../../src/drivers/deploy/native/provisioning/leases.ts';
import { isLogLine, parsePrompt } from '../../src/drivers/switch/force10-cli/prompt.ts';
import { findRefusal } from '../../src/drivers/switch/force10-cli/refusal.ts';
import {
  parseLagMembership,
  parsePortConfig,
  parseVlanConfig,
} from '../../src/drivers/switch/force10-cli/running-config.ts';
import { lagOf, membersOf, parseShowVlan } from '../../src/drivers/switch/force10-cli/show-vlan.ts';
import { switchTypes } from '../../src/drivers/switch/registry.ts';
import { TerminalText } from '../../src/drivers/switch/force10-cli/terminal-text.ts';
import { JsonSplitter } from '../../src/drivers/switch/ovs/json-splitter.ts';
import { os9PortId } from '../../plugin-api/index.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { ServiceError } from '../../src/kernel/errors/service-error.ts';
import { readDiskHeader } from '../../src/operations/images/disk-header.ts';
import { countEntries, parseBody } from '../../src/wire/cloudstack/body.ts';
import { decodeFrame } from '../../src/wire/cloudstack/frame.ts';
import { isLosslessNumber } from 'lossless-json';
import { parseGson } from '../../src/wire/cloudstack/gson-parser.ts';
import { maxJsonDepth } from '../../src/wire/cloudstack/limits.ts';
import { PacketDecoder } from '../../src/wire/cloudstack/packet-decoder.ts';
import { ConsoleFrameReader } from '../../src/wire/console/console-frame.ts';
import { jsonExcess } from '../../src/wire/json/json-limits.ts';
import { MalformedForm } from '../../src/wire/maas-form/form.ts';
import { parseForm } from '../../src/wire/maas-form/parse-form.ts';
import { fromFields, fromHeader } from '../../src/wire/oauth/oauth-values.ts';
import { queryEntries, signature } from '../../src/wire/oauth/signature.ts';
import { Secret } from '../../plugin-api/index.ts';
import { decodeAsfPong } from '../../src/wire/rmcp/asf-ping.ts';
import { decodeIpmiRequest, decodeIpmiResponse } from '../../src/wire/rmcp/ipmi-message.ts';
import { MalformedPacket } from '../../src/wire/rmcp/malformed-packet.ts';
import { decodeOpenSessionRequest, decodeOpenSessionResponse } from '../../src/wire/rmcp/open-session.ts';
import { decodeRakp2 } from '../../src/wire/rmcp/rakp2.ts';
import { decodeRakp4 } from '../../src/wire/rmcp/rakp4.ts';
import { decodeRmcp } from '../../src/wire/rmcp/rmcp-header.ts';
import { decodeRmcpPlus } from '../../src/wire/rmcp/rmcp-plus.ts';
import { decodeSensorRecord } from '../../src/wire/rmcp/sdr-record.ts';
import { decodeSelRecord } from '../../src/wire/rmcp/sel-record.ts';
import { decodeSession15 } from '../../src/wire/rmcp/session15.ts';
import { decodeSolPacket } from '../../src/wire/rmcp/sol-packet.ts';
import { vectors } from '../golden/cloudstack-vectors.ts';
import type { FuzzTarget } from './fuzz-target.ts';
import { httpTarget } from './http-target.ts';

const file = (path: string): Buffer => readFileSync(new URL(`../../${path}`, import.meta.url));
const text = (...lines: readonly string[]): Buffer => Buffer.from(lines.join('\n'));
const jsonWords = [
  '"',
  '\\',
  '\\u0000',
  '{',
  '}',
  '[',
  ']',
  ':',
  ',',
  'null',
  'true',
  '1e999',
  '"__proto__":',
  '-0.0',
];

/** Refusals that the code declares; anything else that is thrown is a crash. */
const refusing = (kinds: readonly (new (...args: never[]) => Error)[], work: () => unknown): void => {
  try {
    work();
  } catch (thrown) {
    if (!kinds.some((kind) => thrown instanceof kind)) throw thrown;
  }
};

const frames: FuzzTarget = {
  name: 'frame',
  seeds: vectors.slice(0, 20).map(({ frameHex }) => Buffer.from(frameHex, 'hex')),
  covers: /src\/wire\/cloudstack\//,
  run: (input) => refusing([ServiceError], () => parseBody(decodeFrame(input).text)),
};

const packets: FuzzTarget = {
  name: 'packet',
  seeds: [
    Buffer.from('1603030002aabb140303000101160303000201020000000717030300020102', 'hex'),
    Buffer.from('8000000717030300020102', 'hex'),
  ],
  covers: /src\/wire\/cloudstack\//,
  run: (input) => {
    const whole = new PacketDecoder();
    const halves = new PacketDecoder();
    const cut = input.length >> 1;
    refusing([ServiceError], () => {
      const once = whole.decode(Buffer.from(input));
      const twice = [...halves.decode(input.subarray(0, cut)), ...halves.decode(input.subarray(cut))];
      assert.deepEqual(twice, once);
    });
  },
};

const gson: FuzzTarget = {
  name: 'gson',
  seeds: vectors.slice(0, 30).map(({ json }) => Buffer.from(json)),
  words: jsonWords,
  longest: 16_384,
  covers: /src\/wire\/(cloudstack|json)\//,
  run: (input) => {
    const body = input.toString();
    refusing([ServiceError], () => countEntries(body));
    refusing([ServiceError], () => parseBody(body));
    // What JSON.parse takes, ours takes and means the same by it; but for depth and the length of numbers.
    let expected: unknown;
    try {
      expected = JSON.parse(body);
    } catch {
      assert.throws(() => parseGson(body));
      return;
    }
    let value: unknown;
    try {
      value = parseGson(body);
    } catch {
      assert.ok(jsonExcess(body, { depth: maxJsonDepth }) === 'depth' || /\d{500}/.test(body));
      return;
    }
    assert.deepEqual(JSON.parse(JSON.stringify(plain(value))), JSON.parse(JSON.stringify(expected)));
  },
};

/** With numbers as JavaScript has them. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  if (isLosslessNumber(value)) return Number(value.toString());
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]));
}

const form: FuzzTarget = {
  name: 'maas-form',
  seeds: [
    text('application/x-www-form-urlencoded', 'op=allocate&name=a%20b&tags=x&tags=y'),
    text('application/json', '{"op":"allocate","tags":["x",1,true,null,{"a":[1]}]}'),
    text(
      'multipart/form-data; boundary="b"',
      '--b\r\nContent-Disposition: form-data; name="a"; filename="f"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b\r\nContent-Disposition: form-data; name*=utf-8\'\'x%20y\r\n\r\n1\r\n--b--\r\n',
    ),
  ],
  words: ['--b', '--b--', '\r\n', 'boundary=', 'name="', "name*=utf-8''", '%00', '&', '=', ';', ...jsonWords],
  covers: /src\/wire\/(maas-form|json)\//,
  run: (input) => {
    const [head = '', ...rest] = input.toString('latin1').split('\n');
    refusing([MalformedForm], () => parseForm(head, Buffer.from(rest.join('\n'), 'latin1')));
  },
};

const oauth: FuzzTarget = {
  name: 'oauth',
  seeds: [
    text(
      'OAuth realm="", oauth_consumer_key="a", oauth_token="b", oauth_signature_method="HMAC-SHA1", oauth_signature="%26c", oauth_timestamp="1", oauth_nonce="n", oauth_version="1.0"',
      'op=x&a=1&a=2',
    ),
  ],
  words: ['oauth_', 'oauth_token=', '"', ',', '%2', '%26', '=', 'realm='],
  covers: /src\/wire\/oauth\//,
  run: (input) => {
    const [header = '', ...rest] = input.toString().split('\n');
    const fields = queryEntries(rest.join('\n'));
    const values = fromHeader(header) ?? fromFields(fields);
    if (!values) return;
    const parameters = [...values.covered, ...fields];
    const url = `http://host/${header}?${rest.join('')}`;
    signature('HMAC-SHA1', new Secret('key'), { method: 'POST', url, parameters });
  },
};

const rack: FuzzTarget = {
  name: 'rack',
  seeds: ['cloudstack', 'two-switches', 'full'].map((name) => file(`rack-config/samples/${name}.json`)),
  words: [
    ...jsonWords,
    '"racks":',
    '"hosts":',
    '"mac":',
    '"port":',
    '"uplinks":',
    'fortyGigE 1/49',
    'Te 1/1',
    '\uFEFF',
  ],
  longest: 16_384,
  covers: /\/rack-config\//,
  run: (input) => refusing([CodedError], () => parseRackConfig(input.toString(), switchTypes)),
};

const rmcp: FuzzTarget = {
  name: 'rmcp',
  seeds: [
    Buffer.from('0600ff0706c000010000000100000010000102030405060708090a0b0c0d0e0f', 'hex'),
    Buffer.from(
      '0600ff07061000000000000000002000000400000102030400000000010203040000000801000000010000080100000002000008',
      'hex',
    ),
    Buffer.from('0600ff06000011be40000010000011be000000008101000000000000', 'hex'),
    Buffer.from('0100025ebe5ac7050009a001c7ff00ffff', 'hex'),
    Buffer.alloc(64, 1),
  ],
  longest: 512,
  covers: /src\/wire\/rmcp\//,
  run: (input) => {
    const bodies = [input];
    refusing([MalformedPacket], () => bodies.push(decodeRmcp(input).body));
    for (const body of bodies) {
      refusing([MalformedPacket], () => bodies.length < 6 && bodies.push(decodeRmcpPlus(body).payload));
      for (const decode of [
        decodeAsfPong,
        decodeSession15,
        decodeIpmiRequest,
        decodeIpmiResponse,
        decodeOpenSessionRequest,
        decodeOpenSessionResponse,
        decodeRakp2,
        decodeRakp4,
        decodeSolPacket,
        decodeSelRecord,
        decodeSensorRecord,
      ] as const)
        refusing([MalformedPacket], () => decode(body));
    }
  },
};

const os9: FuzzTarget = {
  name: 'os9',
  seeds: [
    file('test/fixtures/os9/show-vlan-9.14.txt'),
    file('test/fixtures/os9/show-vlan-8.3.txt'),
    text(
      'interface TenGigabitEthernet 1/1',
      ' no ip address',
      ' portmode hybrid',
      ' switchport',
      '!',
      ' no shutdown',
    ),
    text(
      '     NUM    Status    Description                     Q Ports',
      '*    1      Active    x                               U Te 1/1-1/4',
    ),
  ],
  words: ['Te 1/1', 'Po1(Te 1/1-1/2)', '-', ',', '\x1b[K', '\b', '\r', 'U ', 'T ', ' 4294967295', '\u0000'],
  longest: 16_384,
  covers: /src\/drivers\/switch\/force10-cli\//,
  run: (input) => {
    const terminal = new TerminalText();
    refusing([RangeError], () => terminal.feed(input));
    const lines = [...terminal.lines, terminal.current];
    const port = os9PortId('Te 1/1');
    for (const line of lines) {
      parsePrompt(line);
      isLogLine(line);
    }
    findRefusal(lines);
    parsePortConfig(lines, port);
    parseLagMembership(lines);
    parseVlanConfig(lines, 100);
    refusing([CodedError], () => {
      const table = parseShowVlan(lines);
      lagOf(table, port);
      for (const row of table.vlans.values()) membersOf(row);
    });
  },
};

const ovsdb: FuzzTarget = {
  name: 'ovsdb',
  seeds: [text('{"id":"echo","method":"echo","params":[]}{"id":1,"result":[{"rows":[]}],"error":null}')],
  words: jsonWords,
  covers: /src\/drivers\/switch\/ovs\//,
  run: (input) => {
    const body = input.toString();
    const cut = body.length >> 1;
    refusing([SyntaxError, RangeError], () => {
      const whole = new JsonSplitter().push(body);
      const splitter = new JsonSplitter();
      assert.deepEqual([...splitter.push(body.slice(0, cut)), ...splitter.push(body.slice(cut))], whole);
    });
  },
};

const agent: FuzzTarget = {
  name: 'agent-report',
  seeds: [
    text('{"activity":"writing","percent":12.5}'),
    text(
      JSON.stringify({
        ok: true,
        inventory: {
          cpus: 4,
          memoryBytes: 2 ** 32,
          architecture: 'x86_64',
          firmware: 'efi',
          product: 'p',
          serial: 's',
          nics: [
            {
              name: 'eth0',
              mac: '52:54:00:00:00:01',
              linkUp: true,
              speedMbps: -1,
              neighbour: 'tor-1 Te 1/1',
            },
          ],
          disks: [
            {
              name: 'sda',
              model: 'm',
              serial: 's',
              bytes: 1,
              rotational: false,
              removable: false,
              readOnly: false,
            },
          ],
        },
        deploy: { disk: 'sda', serial: 's', sha256: 'a'.repeat(64), rawBytes: 1, seconds: 1 },
      }),
    ),
    text('{"ok":false,"error":{"code":"checksum","said":"x"}}'),
  ],
  words: [...jsonWords, '"neighbour":', '"mac":', '"ok":'],
  covers: /src\/api\/boot\//,
  run: (input) => {
    let value: unknown;
    try {
      value = JSON.parse(input.toString());
    } catch {
      return;
    }
    progressMessage.safeParse(value);
    const result = resultMessage.safeParse(value);
    if (result.success) assert.ok(JSON.stringify(result.data).length < 2_000_000);
  },
};

const consoleFrames: FuzzTarget = {
  name: 'console',
  seeds: [Buffer.from('00000168010000020003666f6f', 'hex')],
  covers: /src\/wire\/console\//,
  run: (input) => {
    const reader = new ConsoleFrameReader();
    refusing([Error], () => reader.read(input));
  },
};

const diskHeaders: FuzzTarget = {
  name: 'disk-header',
  seeds: [
    Buffer.concat([Buffer.from('514649fb00000003', 'hex'), Buffer.alloc(96)]),
    Buffer.concat([Buffer.from('KDMV'), Buffer.alloc(600)]),
    Buffer.concat([Buffer.from('conectix'), Buffer.alloc(600)]),
  ],
  longest: 11_000,
  covers: /src\/operations\/images\/disk-header/,
  run: (input) => {
    for (const format of ['qcow2', 'vmdk', 'vpc'] as const)
      refusing([CodedError], () => readDiskHeader(format, input));
  },
};

const leases: FuzzTarget = {
  name: 'leases',
  seeds: [text('1790000000 52:54:00:00:00:01 10.1.0.5 host 01:52:54:00:00:00:01', 'duid 00:01')],
  covers: /provisioning\/leases/,
  run: (input) => void parseLeases(input.toString()),
};

const log = createLog({ level: 'silent' });
const token = 'A'.repeat(43);
const unknown = (): never => {
  throw new ServiceError({ code: 'request.unauthenticated', what: 'the boot token is not valid' });
};

/** Conversations that know one token, and no order. */
const conversations = {
  decide: () => Promise.resolve({ kind: 'power-off', reason: 'nothing to do' }),
  authenticate: (given: string) => (given === token ? Promise.resolve() : unknown()),
  order: () => Promise.resolve({ kind: 'deploy', image: { url: '/boot/v1/agent/image' } }),
  report: () => Promise.resolve(),
  log: () => Promise.resolve(),
  result: () => Promise.resolve({ then: 'power-off' }),
  unreadableResult: () => Promise.resolve(),
  imageOf: () => Promise.resolve('none'),
  firstBootFile: (_token: string, name: string) => Promise.resolve(name),
};

const http = (first: string, ...more: readonly string[]): Buffer =>
  Buffer.from([`${first} HTTP/1.1`, 'host: csbm', 'connection: close', ...more, '', ''].join('\r\n'));
const httpWords = [
  '\r\n',
  'transfer-encoding: chunked\r\n',
  'content-length: 5\r\n',
  '%2e%2e/',
  '%00',
  '?',
  '//',
  'range: bytes=-1\r\n',
  'HTTP/1.0',
  'expect: 100-continue\r\n',
  'upgrade: x\r\nconnection: upgrade\r\n',
];

const boot = httpTarget(
  {
    name: 'boot-http',
    seeds: [
      http('GET /boot/v1/script?mac=52:54:00:00:00:01&platform=efi&arch=x86_64&serial=1'),
      http('GET /boot.ipxe'),
      http('GET /boot/v1/ramdisk/vmlinuz', 'range: bytes=0-5'),
      http('GET /boot/v1/agent/order', `authorization: Bearer ${token}`),
      http('GET /boot/v1/agent/first-boot/user-data', `authorization: Bearer ${token}`),
      Buffer.concat([
        http('POST /boot/v1/agent/progress', `authorization: Bearer ${token}`, 'content-length: 16'),
        Buffer.from('{"activity":"x"}'),
      ]),
      Buffer.concat([
        http('POST /boot/v1/agent/result', `authorization: Bearer ${token}`, 'transfer-encoding: chunked'),
        Buffer.from('2\r\n{}\r\n0\r\n\r\n'),
      ]),
    ],
    words: httpWords,
    covers: /src\/api\/boot\//,
  },
  () =>
    bootApp({
      conversations: conversations as unknown as BootAppOptions['conversations'],
      images: { file: () => Promise.resolve(null) },
      ramdiskDir: '/nowhere',
      publicUrl: 'http://127.0.0.1:1/',
      log,
    }),
);

const maas = httpTarget(
  {
    name: 'maas-http',
    seeds: [
      http('GET /MAAS/api/2.0/machines/?op=is_registered&mac_address=52:54:00:00:00:01'),
      http('GET /MAAS/api/2.0/describe/'),
      http('GET /MAAS/api/2.0/version/'),
      http(
        'GET /MAAS/api/2.0/machines/abc123/op-query_power_state',
        'authorization: OAuth oauth_consumer_key="a", oauth_token="b", oauth_signature_method="PLAINTEXT", oauth_signature="%26c", oauth_timestamp="1", oauth_nonce="n"',
      ),
      Buffer.concat([
        http(
          'POST /MAAS/api/2.0/machines/?op=allocate',
          'content-type: application/x-www-form-urlencoded',
          'content-length: 13',
        ),
        Buffer.from('oauth_token=x'),
      ]),
      Buffer.concat([
        http('POST /MAAS/accounts/authenticate/', 'content-type: application/json', 'content-length: 16'),
        Buffer.from('{"username":"x"}'),
      ]),
    ],
    words: [
      ...httpWords,
      'OAuth oauth_',
      'op=',
      'content-type: multipart/form-data; boundary=x\r\n',
      'x-forwarded-host: a\r\n',
    ],
    covers: /src\/(api\/maas|wire\/oauth|wire\/maas-form)\//,
  },
  () => {
    const context = {
      keys: { holder: () => Promise.resolve(null) },
      users: { login: unknown },
      clock: { now: () => 0, monotonic: () => performance.now() },
      log,
      settings: { reportedVersion: '3.5.0', strict: null, eraseShownAs: 'Releasing', releasingFor: [] },
    } as unknown as MaasContext;
    return maasApp({ context, handlers: handlers(context), failures: { failures: Infinity } });
  },
);

/** Doors that are opened before and closed after. */
export const httpTargets = [boot, maas] as const;

/** Every place that reads what strangers send. */
export const targets: readonly FuzzTarget[] = [
  frames,
  packets,
  gson,
  form,
  oauth,
  rack,
  rmcp,
  os9,
  ovsdb,
  agent,
  consoleFrames,
  diskHeaders,
  leases,
  ...httpTargets,
];
