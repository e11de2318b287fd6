import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { CodedError, os9PortId, plainPortId, type SwitchType } from '../../plugin-api/index.ts';
import {
  parseRackConfig,
  RackConfigError,
  type RackConfig,
  type RackProblem,
} from '../../rack-config/index.ts';

const force10: SwitchType = {
  type: 'Force10',
  defaultTransport: 'ssh',
  transports: { ssh: 22, telnet: 23 },
  parsePort: os9PortId,
};
const ovs: SwitchType = {
  type: 'OVS',
  defaultTransport: 'local',
  transports: { local: 6640 },
  parsePort: plainPortId,
};
const types = new Map([force10, ovs].map((type) => [type.type, type]));

const sample = (name: string): string =>
  readFileSync(new URL(`../../rack-config/samples/${name}.json`, import.meta.url), 'utf8');

function problems(text: string): readonly RackProblem[] {
  try {
    parseRackConfig(text, types);
  } catch (thrown) {
    assert.ok(thrown instanceof RackConfigError, String(thrown));
    return thrown.problems;
  }
  return [];
}

const host = (mac: string, port: unknown, more: object = {}): object => ({ mac, port, ...more });
const rack = (l2Switch: object, ...hosts: object[]): object => ({
  l2Switch: { ip: '192.0.2.11', username: 'u', password: 'hunter2', type: 'Force10', ...l2Switch },
  hosts,
});
/** One member, element or bracket a line, as administrators write it; so the line of a mistake can be told by eye. */
const lines = (...racks: object[]): string => JSON.stringify({ racks }, null, 2);
/** The line, from 1, of the n-th line that contains a text. */
function lineOf(text: string, needle: string, nth = 1): number {
  const found = text.split('\n').flatMap((line, i) => (line.includes(needle) ? [i + 1] : []));
  assert.ok(found.length >= nth, `${needle} is not there ${nth} times`);
  return found[nth - 1]!;
}

const a1 = '52:54:00:aa:00:01';
const a2 = '52:54:00:aa:00:02';

describe('rack config', () => {
  describe('reads', () => {
    it("CloudStack's rack JSON as it is, with defaults for all that is ours", () => {
      const config = parseRackConfig(sample('cloudstack'), types);
      assert.deepEqual(config.switches, [
        {
          name: '172.31.0.109',
          type: 'Force10',
          host: '172.31.0.109',
          transport: 'ssh',
          tcpPort: 22,
          username: 'admin',
          password: config.switches[0]!.password,
          enablePassword: null,
          hostKeyPin: null,
          legacyCrypto: false,
          uplinks: [],
          fabric: 'default',
          provisioning: 'default-vlan',
          park: 'shut',
          line: 4,
        },
      ]);
      const { password } = config.switches[0]!;
      assert.equal(password.from === 'literal' && password.secret.reveal(), 'password');
      assert.deepEqual(config.wires, [
        {
          mac: '00:18:8b:52:79:80',
          switch: '172.31.0.109',
          port: 'TenGigabitEthernet 1/1/1',
          server: null,
          line: 11,
        },
      ]);
      assert.deepEqual(config.servers, []);
    });

    it('a server with two NICs on two switches', () => {
      const { wires, servers, warnings } = parseRackConfig(sample('two-switches'), types);
      assert.deepEqual(
        wires.filter((wire) => wire.server === 'node-1').map((wire) => [wire.mac, wire.switch, wire.port]),
        [
          [a1, 'tor-a', 'TenGigabitEthernet 1/1'],
          [a2, 'tor-b', 'TenGigabitEthernet 1/1'],
        ],
      );
      assert.deepEqual(
        servers.map(({ name }) => name),
        ['node-1', 'node-2'],
      );
      assert.deepEqual(warnings, []);
    });

    it('every optional key', () => {
      const { switches, wires, servers, warnings } = parseRackConfig(sample('full'), types);
      const [a, b, lab] = switches;
      assert.deepEqual(a, {
        name: 'tor-a',
        type: 'Force10',
        host: '192.0.2.11',
        transport: 'ssh',
        tcpPort: 22,
        username: 'csbm',
        password: { from: 'env', name: 'TOR_A_PASSWORD' },
        enablePassword: { from: 'file', path: '/run/secrets/tor-a-enable' },
        hostKeyPin: 'SHA256:notARealFingerprintNotARealFingerprintNotAR',
        legacyCrypto: true,
        uplinks: ['fortyGigE 1/49', 'fortyGigE 1/50'],
        fabric: 'hall-1',
        provisioning: 20,
        park: 999,
        line: 11,
      });
      assert.deepEqual([b!.provisioning, b!.park], [20, 'shut']);
      assert.deepEqual([lab!.provisioning, lab!.park, lab!.fabric], ['default-vlan', 'shut', 'lab']);
      assert.equal(wires.at(-1)!.mac, '52:54:00:cc:00:01');
      assert.deepEqual(servers.at(-1), { name: 'node-9', wiring: 'none' });
      assert.deepEqual(warnings, []);
    });

    it('ports as the switch type spells them, and whole numbers as the 2014 code wrote them', () => {
      const { wires } = parseRackConfig(lines(rack({ type: 'OVS' }, host(a1, 5), host(a2, 'tap0'))), types);
      assert.deepEqual(
        wires.map((wire) => wire.port),
        ['5', 'tap0'],
      );
    });

    it('a server that is wired to one switch only', () => {
      assert.deepEqual(problems(lines(rack({}, host(a1, '1/1', { server: 'n' })))), []);
    });

    it('another transport with its usual port, and the same address with another port as another switch', () => {
      const { switches } = parseRackConfig(
        lines(rack({ transport: 'telnet' }), rack({ name: 'b', tcpPort: 2022 })),
        types,
      );
      assert.deepEqual(
        switches.map((s) => [s.name, s.transport, s.tcpPort]),
        [
          ['192.0.2.11', 'telnet', 23],
          ['b', 'ssh', 2022],
        ],
      );
    });
  });

  it('keeps secrets out of everything that prints', () => {
    const config = parseRackConfig(lines(rack({ enablePassword: 'hunter3' })), types);
    assert.doesNotMatch(JSON.stringify(config) + inspect(config, { depth: null }), /hunter/);
  });

  describe('refuses', () => {
    interface Case {
      readonly name: string;
      readonly text: string;
      readonly line: number;
      readonly path: string;
      readonly message: RegExp;
      readonly remedy: RegExp;
    }
    const refused = (
      name: string,
      text: string,
      at: readonly [needle: string, nth?: number],
      path: string,
      message: RegExp,
      remedy: RegExp,
    ): Case => ({ name, text, line: lineOf(text, at[0], at[1]), path, message, remedy });

    const cases: readonly Case[] = [
      refused(
        'a MAC twice, in another spelling, on another switch',
        lines(rack({}, host(a1, '1/1')), rack({ ip: '192.0.2.12' }, host('5254.00AA.0001', '1/1'))),
        ['5254.00AA.0001'],
        'racks[1].hosts[0].mac',
        /the MAC 52:54:00:aa:00:01 stands already in line 12$/,
        /remove one/,
      ),
      refused(
        'a port twice, in another spelling',
        lines(rack({}, host(a1, '1/1'), host(a2, 'tengigabitethernet:1/1'))),
        ['tengigabitethernet:1/1'],
        'racks[0].hosts[1].port',
        /the port TenGigabitEthernet 1\/1 stands already in line 13$/,
        /correct one/,
      ),
      refused(
        'a switch twice',
        lines(rack({}), rack({ name: 'other', tcpPort: 22 })),
        ['"ip"', 2],
        'racks[1].l2Switch.ip',
        /the switch 192\.0\.2\.11 \(TCP port 22\) stands already in line 5$/,
        /put all its hosts under one switch/,
      ),
      refused(
        'a switch twice, by another spelling of its IPv6 address',
        lines(rack({ ip: '2001:db8::1' }), rack({ ip: '2001:0DB8:0::1' })),
        ['"ip"', 2],
        'racks[1].l2Switch.ip',
        /the switch 2001:db8::1 /,
        /put all its hosts/,
      ),
      refused(
        'a switch name twice',
        lines(rack({ name: 'tor' }), rack({ ip: '192.0.2.12', name: 'tor' })),
        ['"name"', 2],
        'racks[1].l2Switch.name',
        /the switch name "tor" stands already in line 9$/,
        /another "name"/,
      ),
      refused(
        'the same address on two TCP ports without names',
        lines(rack({}), rack({ tcpPort: 2022 })),
        ['"ip"', 2],
        'racks[1].l2Switch.ip',
        /the switch name "192\.0\.2\.11" stands already/,
        /another "name"/,
      ),
      refused(
        'an unknown switch type, listing the known ones',
        lines(rack({ type: 'Cisco' })),
        ['Cisco'],
        'racks[0].l2Switch.type',
        /"Cisco" is not a known switch type/,
        /^use one of: Force10, OVS$/,
      ),
      refused(
        'a switch type in another case, naming the right one',
        lines(rack({ type: 'FORCE-10' })),
        ['FORCE-10'],
        'racks[0].l2Switch.type',
        /not a known switch type/,
        /^write "Force10"; the spelling counts/,
      ),
      refused(
        'a transport that the type lacks',
        lines(rack({ transport: 'netconf' })),
        ['netconf'],
        'racks[0].l2Switch.transport',
        /type Force10 has no transport "netconf"/,
        /use one of: ssh, telnet/,
      ),
      refused(
        'a transport named like a member of every object',
        lines(rack({ transport: 'toString' })),
        ['toString'],
        'racks[0].l2Switch.transport',
        /no transport "toString"/,
        /ssh, telnet/,
      ),
      refused(
        'a misspelt MAC',
        lines(rack({}, host('52:54:00:aa:00', '1/1'))),
        ['52:54:00:aa:00'],
        'racks[0].hosts[0].mac',
        /is not a MAC address: it is not six bytes/,
        /six bytes in hex/,
      ),
      refused(
        'a group MAC',
        lines(rack({}, host('01:00:5e:00:00:01', '1/1'))),
        ['01:00:5e'],
        'racks[0].hosts[0].mac',
        /group \(multicast\) address/,
        /six bytes in hex/,
      ),
      refused(
        'a port that the type does not know',
        lines(rack({}, host(a1, 'xe-0/0/1'))),
        ['xe-0'],
        'racks[0].hosts[0].port',
        /"xe-0\/0\/1" is not a port name/,
        /write type:unit\/port/,
      ),
      refused(
        'a port that is neither text nor a whole number',
        lines(rack({}, host(a1, 1.5))),
        ['"port"'],
        'racks[0].hosts[0].port',
        /"port" is none of the forms/,
        /write the port as text/,
      ),
      refused(
        'a VLAN out of range',
        lines(rack({ provisioning: { vlan: 4095 } })),
        ['4095'],
        'racks[0].l2Switch.provisioning.vlan',
        /"vlan" is out of range/,
        /whole number from 1 to 4094/,
      ),
      refused(
        'a misspelt provisioning word',
        lines(rack({ provisioning: 'default' })),
        ['"provisioning"'],
        'racks[0].l2Switch.provisioning',
        /"provisioning" is none of the forms/,
        /\{"vlan": N\}.*or "default-vlan"/,
      ),
      refused(
        'a misspelt park word',
        lines(rack({ park: 'down' })),
        ['"park"'],
        'racks[0].l2Switch.park',
        /"park" is none of the forms/,
        /or "shut"/,
      ),
      refused(
        'more than the VLAN in "park"',
        lines(rack({ park: { vlan: 9, name: 'x' } })),
        ['"park"'],
        'racks[0].l2Switch.park',
        /"park" does not fit/,
        /nothing but \{"vlan": N\}/,
      ),
      refused(
        'parking in the provisioning VLAN',
        lines(rack({ provisioning: { vlan: 20 }, park: { vlan: 20 } })),
        ['"park"'],
        'racks[0].l2Switch.park',
        /VLAN 20 is both/,
        /leads nowhere, or "shut"/,
      ),
      refused(
        'an uplink that is also a host port',
        lines(rack({ uplinks: ['Te 1/48'] }, host(a1, '1/48'))),
        ['"1/48"'],
        'racks[0].hosts[0].port',
        /TenGigabitEthernet 1\/48 is an uplink of this switch \(line 10\)/,
        /remove it from "uplinks"/,
      ),
      refused(
        'an uplink twice',
        lines(rack({ uplinks: ['Te 1/48', 'te1/48'] })),
        ['te1/48'],
        'racks[0].l2Switch.uplinks[1]',
        /the uplink TenGigabitEthernet 1\/48 stands already in line 10$/,
        /remove one/,
      ),
      refused(
        'two provisioning VLANs in one fabric',
        lines(rack({ provisioning: { vlan: 20 } }), rack({ ip: '192.0.2.12', provisioning: { vlan: 30 } })),
        ['"provisioning"', 2],
        'racks[1].l2Switch.provisioning',
        /fabric "default" is VLAN 30 here, but VLAN 20 in line 9$/,
        /one provisioning network in a fabric/,
      ),
      refused(
        'a VLAN here and the default VLAN there as provisioning network of one fabric',
        lines(rack({ provisioning: { vlan: 20 } }), rack({ ip: '192.0.2.12' })),
        ['"l2Switch"', 2],
        'racks[1].l2Switch',
        /is the default VLAN here, but VLAN 20 in line 9$/,
        /one provisioning network/,
      ),
      refused(
        'an empty address, as the wiki page shows it',
        lines(rack({ ip: '' })),
        ['"ip"'],
        'racks[0].l2Switch.ip',
        /"ip" is empty/,
        /management address/,
      ),
      refused(
        'an address with a port',
        lines(rack({ ip: '192.0.2.11:22' })),
        ['"ip"'],
        'racks[0].l2Switch.ip',
        /is not an address/,
        /without port/,
      ),
      refused(
        'an IPv4 address that is none',
        lines(rack({ ip: '192.0.2.256' })),
        ['"ip"'],
        'racks[0].l2Switch.ip',
        /is not an address/,
        /IPv4/,
      ),
      refused(
        'a missing l2Switch',
        JSON.stringify({ racks: [{ hosts: [] }] }, null, 2),
        ['{', 2],
        'racks[0].l2Switch',
        /"l2Switch" is missing/,
        /write \{"ip"/,
      ),
      refused(
        'missing hosts',
        JSON.stringify({ racks: [{ ...rack({}), hosts: undefined }] }, null, 2),
        ['{', 2],
        'racks[0].hosts',
        /"hosts" is missing/,
        /write a list: "hosts"/,
      ),
      refused('missing racks', '{\n}', ['{'], 'racks', /"racks" is missing/, /write a list: "racks"/),
      refused('empty racks', '{\n"racks": []}', ['racks'], 'racks', /"racks" is empty/, /at least one rack/),
      refused('a list instead of an object', '[]', ['['], '', /the file is a list/, /write \{"racks"/),
      refused(
        'a password that is a number, without showing it',
        lines(rack({ password: 12345678 })),
        ['"password"'],
        'racks[0].l2Switch.password',
        /^"password" is a number$/,
        /env:NAME, or file:/,
      ),
      refused(
        'a host key in another form',
        lines(rack({ hostKey: 'MD5:00:11' })),
        ['"hostKey"'],
        'racks[0].l2Switch.hostKey',
        /"hostKey" is misspelt/,
        /ssh-keygen -l/,
      ),
      refused(
        'a TCP port out of range',
        lines(rack({ tcpPort: 65536 })),
        ['"tcpPort"'],
        'racks[0].l2Switch.tcpPort',
        /"tcpPort" is out of range/,
        /1 to 65535/,
      ),
      refused(
        'an unprintable text',
        lines(rack({ name: 'a\u001b[2J' })),
        ['"name"'],
        'racks[0].l2Switch.name',
        /"name" is misspelt/,
        /short name/,
      ),
      refused(
        'a server without wiring that is wired',
        JSON.stringify(
          { racks: [rack({}, host(a1, '1/1', { server: 'n' }))], servers: [{ name: 'n', wiring: 'none' }] },
          null,
          2,
        ),
        ['"wiring"'],
        'servers[0].wiring',
        /the server "n" has wiring "none", but line 11 connects it/,
        /remove its hosts entries/,
      ),
      refused(
        'a server declared twice',
        JSON.stringify({ racks: [rack({})], servers: [{ name: 'n' }, { name: 'n' }] }, null, 2),
        ['"name"', 2],
        'servers[1].name',
        /the server "n" stands already/,
        /remove one/,
      ),
    ];
    for (const { name, text, line, path, message, remedy } of cases) {
      it(name, () => {
        const found = problems(text);
        assert.equal(found.length, 1, JSON.stringify(found));
        assert.deepEqual([found[0]!.line, found[0]!.path], [line, path]);
        assert.match(found[0]!.message, message);
        assert.match(found[0]!.remedy, remedy);
      });
    }

    it('a default park VLAN that is the provisioning VLAN, at the default', () => {
      const text = `{ "provisioning": {"vlan": 7},\n"park": {"vlan": 7},\n"racks": [${JSON.stringify(rack({}))}] }`;
      assert.deepEqual(
        problems(text).map(({ line, path }) => [line, path]),
        [[2, 'park']],
      );
    });

    it('all that is wrong in one go, in the order of the lines, without any secret', () => {
      const text = lines(
        rack({ type: 'force10', password: 5, ip: 'no address' }, host('zz', '1/1')),
        rack({ ip: '192.0.2.12', tcpPort: 0 }, host(a1, '1/1'), host(a1, '1/99/x')),
      );
      assert.throws(
        () => parseRackConfig(text, types),
        (thrown) => {
          assert.ok(thrown instanceof RackConfigError && thrown instanceof CodedError);
          assert.deepEqual([thrown.code, thrown.retry], ['rack.invalid', 'operator']);
          assert.deepEqual(
            thrown.problems.map(({ path }) => path),
            [
              'racks[0].l2Switch.ip',
              'racks[0].l2Switch.password',
              'racks[0].l2Switch.type',
              'racks[0].hosts[0].mac',
              'racks[1].l2Switch.tcpPort',
              'racks[1].hosts[1].mac',
              'racks[1].hosts[1].port',
            ],
          );
          for (const { line, path, message, remedy } of thrown.problems) {
            for (const part of [`line ${line},`, path, message, remedy])
              assert.ok(thrown.message.includes(part));
          }
          assert.doesNotMatch(thrown.message + JSON.stringify(thrown), /hunter/);
          return true;
        },
      );
    });

    it('broken JSON with the same error, naming the line', () => {
      const [problem] = problems('{\n"racks": [,]\n}');
      assert.deepEqual([problem!.line, problem!.path], [2, 'racks[0]']);
      assert.match(problem!.message, /a value is expected/);
    });

    it('a thousand mistakes, with a text that stays readable', () => {
      const hosts = Array.from({ length: 1_000 }, () => host('zz', '1/1'));
      const text = lines(rack({}, ...hosts));
      assert.equal(problems(text).length, 1_999);
      assert.throws(() => parseRackConfig(text, types), /and 1949 more/);
    });
  });

  describe('warns of', () => {
    const warnings = (document: object): readonly (readonly [number, string, string])[] =>
      parseRackConfig(JSON.stringify(document, null, 2), types).warnings.map(
        ({ line, path, message }) => [line, path, message] as const,
      );
    const up = { uplinks: ['Te 1/48'] };

    it('unknown keys, and of what was probably meant', () => {
      assert.deepEqual(
        warnings({
          racks: [{ ...rack({ ...up, host_key: 'x' }, host(a1, '1/1', { slot: 3 })), row: 1 }],
          Park: 'x',
        }),
        [
          [12, 'racks[0].l2Switch.host_key', 'the key is unknown and not kept; did you mean "hostKey"?'],
          [18, 'racks[0].hosts[0].slot', 'the key is unknown and not kept'],
          [21, 'racks[0].row', 'the key is unknown and not kept'],
          [24, 'Park', 'the key is unknown and not kept; did you mean "park"?'],
        ],
      );
    });

    it('a switch without uplinks', () => {
      const [warning] = warnings({ racks: [rack({}, host(a1, '1/1'))] });
      assert.deepEqual(warning?.slice(0, 2), [4, 'racks[0].l2Switch']);
      assert.match(warning[2], /no "uplinks"/);
    });

    it('a switch without hosts, and a declared server without hosts', () => {
      assert.deepEqual(
        warnings({ racks: [rack(up)], servers: [{ name: 'n' }] }).map(([, path]) => path),
        ['racks[0].hosts', 'servers[0].name'],
      );
    });

    it('a server on two fabrics', () => {
      const found = warnings({
        racks: [
          rack(up, host(a1, '1/1', { server: 'n' })),
          rack({ ...up, ip: '192.0.2.12', fabric: 'other' }, host(a2, '1/1', { server: 'n' })),
        ],
      });
      assert.deepEqual(
        found.map(([, path]) => path),
        ['racks[1].hosts[0].mac'],
      );
      assert.match(found[0]![2], /on another fabric in line 14/);
    });
  });

  it('gives each wire the one spelling of its MAC and port, however they are written', () => {
    const spellings = (bytes: readonly number[]): readonly string[] => {
      const hex = bytes.map((byte) => byte.toString(16).padStart(2, '0'));
      const bare = hex.join('');
      return [
        hex.join(':'),
        hex.join('-'),
        bare,
        bare.match(/..../g)!.join('.'),
        hex.join(':').toUpperCase(),
      ];
    };
    const portSpellings = (n: number): readonly string[] => [
      `1/${n}`,
      `Te 1/${n}`,
      `te1/${n}`,
      `tengigabitethernet:1/${n}`,
      `TenGigabitEthernet 1/${n}`,
    ];
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: 0xffff }), { minLength: 1, maxLength: 8 }),
        fc.nat({ max: 4 }),
        (serials, spelling) => {
          const macs = serials.map((serial) => [0x52, 0x54, 0, 0, serial >> 8, serial & 0xff]);
          const config: RackConfig = parseRackConfig(
            lines(
              rack(
                {},
                ...macs.map((mac, i) => host(spellings(mac)[spelling]!, portSpellings(i + 1)[spelling])),
              ),
            ),
            types,
          );
          assert.deepEqual(
            config.wires.map((wire) => [wire.mac, wire.port]),
            macs.map((mac, i) => [spellings(mac)[0], `TenGigabitEthernet 1/${i + 1}`]),
          );
        },
      ),
    );
  });
});
