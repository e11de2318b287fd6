import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { minutes, seconds } from '../../plugin-api/index.ts';
import { ConfigError, type ConfigProblem } from '../../src/config/config-error.ts';
import { settings } from '../../src/config/config-tree.ts';
import { loadConfig, type LoadedConfig } from '../../src/config/load-config.ts';

describe('configuration', () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'csbm-config-'));
    file = join(folder, 'csbm.yaml');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  type Env = Readonly<Record<string, string>>;
  function load(text: string, env: Env = {}): LoadedConfig {
    writeFileSync(file, text);
    return loadConfig({ path: file, env, cwd: '/somewhere' });
  }
  function problems(text: string, env: Env = {}): readonly ConfigProblem[] {
    try {
      load(text, env);
    } catch (thrown) {
      assert.ok(thrown instanceof ConfigError, String(thrown));
      assert.equal(thrown.code, 'config.invalid');
      return thrown.problems;
    }
    return [];
  }

  describe('finds its file', () => {
    it('by the path that is given, before CSBM_CONFIG, before csbm.yaml in the working folder', () => {
      writeFileSync(file, 'http: {port: 1}');
      writeFileSync(join(folder, 'other.yaml'), 'http: {port: 2}');
      const env = { CSBM_CONFIG: 'other.yaml' };
      assert.equal(loadConfig({ path: 'csbm.yaml', env, cwd: folder }).config.http.port, 1);
      assert.equal(loadConfig({ env, cwd: folder }).config.http.port, 2);
      assert.equal(loadConfig({ env: {}, cwd: folder }).config.http.port, 1);
      assert.equal(loadConfig({ env, cwd: folder }).file, join(folder, 'other.yaml'));
    });

    it('or does without, and has a default for everything that needs one', () => {
      const { config, file: found, warnings } = loadConfig({ env: {}, cwd: folder });
      assert.equal(found, null);
      assert.deepEqual(warnings, []);
      assert.equal(config.stateDir, join(folder, '.csbm'));
      assert.equal(config.store.type, 'sqlite');
      assert.equal(config.store.file, join(folder, '.csbm/csbm.sqlite'));
      assert.equal(config.secrets.keyFile, join(folder, '.csbm/secret.key'));
      assert.deepEqual(config.http, { host: '127.0.0.1', port: 8440, tls: {}, allowPlain: false });
      assert.equal(config.boot.port, 8480);
      assert.deepEqual(config.cloudstack.agent, {
        enabled: false,
        servers: [],
        trustAll: false,
        certificateAddresses: [],
        certificateWarning: minutes(15 * 24 * 60),
      });
      assert.equal(config.erase.defaultGrade, 'secure');
      assert.equal(config.timings.powerOff, minutes(1));
    });

    it('and says so where a named one is not there', () => {
      assert.throws(
        () => loadConfig({ path: join(folder, 'absent.yaml'), env: {} }),
        (thrown) =>
          thrown instanceof ConfigError &&
          thrown.problems[0]!.source === join(folder, 'absent.yaml') &&
          /cannot be read \(ENOENT\)/.test(thrown.problems[0]!.message),
      );
    });
  });

  it('takes an empty file, empty sections and empty keys as defaults', () => {
    for (const text of [
      '',
      '# nothing\n',
      'http:\n',
      'http:\n  port:\nboot: {publicUrl: }\nstore:\nlog: ~\n',
    ]) {
      assert.equal(load(text).config.http.port, 8440, text);
    }
  });

  it('makes paths absolute: those of the file from the file, those of the environment from the working folder', () => {
    const { config } = load(
      'stateDir: state\nstore: {file: ../db.sqlite}\ncloudstack: {agent: {caFile: /etc/ca.pem}}\n',
    );
    assert.equal(config.stateDir, join(folder, 'state'));
    assert.equal(config.store.file, join(folder, '../db.sqlite'));
    assert.equal(config.provisioning.imageDir, join(folder, 'state/images'));
    assert.equal(config.cloudstack.agent.caFile, '/etc/ca.pem');
    const overridden = load('stateDir: state\n', {
      CSBM_STATE_DIR: 'elsewhere',
      CSBM_STORE_FILE: 'x.sqlite',
    }).config;
    assert.equal(overridden.stateDir, '/somewhere/elsewhere');
    assert.equal(overridden.store.file, '/somewhere/x.sqlite');
    assert.equal(overridden.secrets.keyFile, '/somewhere/elsewhere/secret.key');
  });

  it('reads management servers with and without port', () => {
    const text =
      'cloudstack:\n  agent:\n    servers: ["a.example.org", "192.0.2.1:9250", "[2001:db8::1]:8251", "[::1]"]\n';
    assert.deepEqual(load(text).config.cloudstack.agent.servers, [
      { host: 'a.example.org', port: 8250 },
      { host: '192.0.2.1', port: 9250 },
      { host: '2001:db8::1', port: 8251 },
      { host: '::1', port: 8250 },
    ]);
  });

  it('hands driver settings on as they are', () => {
    const { config } = load(
      'switch:\n  settings:\n    Force10: {depth: 2, prompts: [a, b]}\npower: {settings: {x: null}}\n',
    );
    assert.deepEqual(config.switch.settings, { Force10: { depth: 2, prompts: ['a', 'b'] } });
    assert.deepEqual(config.power.settings, { x: null });
  });

  describe('the admin API without TLS', () => {
    const where = (host: string, more = ''): readonly string[] => {
      try {
        load(`http: {host: "${host}"${more}}\n`);
        return [];
      } catch (error) {
        return (error as ConfigError).problems.map(({ key, remedy }) => `${key}: ${remedy}`);
      }
    };

    it('is for loopback', () => {
      for (const host of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) assert.deepEqual(where(host), []);
    });

    it('is refused on addresses that others reach, saying what to do', () => {
      for (const host of ['0.0.0.0', '::', '192.0.2.1', 'csbm.example.org', '127.0.0.1.example.org'])
        assert.match(where(host).join(), /^http\.host: set http\.tls\.certFile .*http\.allowPlain: true$/);
    });

    it('is allowed there by a word, and needs none with TLS', () => {
      assert.deepEqual(where('0.0.0.0', ', allowPlain: true'), []);
      assert.deepEqual(where('0.0.0.0', ', tls: {certFile: a, keyFile: b}'), []);
    });

    it('TLS takes both files', () => {
      assert.match(
        where('localhost', ', tls: {certFile: a}').join(),
        /^http\.tls\.certFile: set certFile and keyFile together/,
      );
      assert.match(where('localhost', ', tls: {keyFile: a}').join(), /^http\.tls\.keyFile: /);
    });
  });

  describe('environment', () => {
    it('wins over the file, for every kind of value', () => {
      const { config } = load('http: {port: 1}\ntimings: {powerOff: 9s}\nlog: {level: info}\n', {
        CSBM_HTTP_PORT: '2',
        CSBM_HTTP_HOST: '0.0.0.0',
        CSBM_HTTP_ALLOW_PLAIN: 'true',
        CSBM_TIMINGS_POWER_OFF: '3s',
        CSBM_TIMINGS_SCALE: '2.5',
        CSBM_LOG_LEVEL: 'debug',
        CSBM_CLOUDSTACK_AGENT_TRUST_ALL: 'true',
        CSBM_CLOUDSTACK_NAME: '123',
        CSBM_BOOT_PUBLIC_URL: 'https://boot.example.org',
        CSBM_BOOT_HOST: '',
      });
      assert.deepEqual(config.http, { host: '0.0.0.0', port: 2, tls: {}, allowPlain: true });
      assert.deepEqual([config.timings.powerOff, config.timings.scale], [seconds(3), 2.5]);
      assert.equal(config.log.level, 'debug');
      assert.equal(config.cloudstack.agent.trustAll, true);
      assert.equal(config.cloudstack.name, '123');
      const { host, port, publicUrl } = config.boot;
      assert.deepEqual([host, port, publicUrl], ['127.0.0.1', 8480, 'https://boot.example.org']);
    });

    it('has a name of its own for every single value', () => {
      const names = settings.flatMap(({ env }) => (env === null ? [] : [env]));
      assert.equal(new Set(names).size, names.length);
      assert.deepEqual(
        settings.filter(({ env }) => env === null).map(({ path }) => path.join('.')),
        [
          'cloudstack.agent.servers',
          'cloudstack.agent.certificateAddresses',
          'maas.releasingFor',
          'power.settings',
          'switch.settings',
          'provisioning.settings',
          'deploy.maas',
        ],
      );
    });

    it('is named by an error that it causes', () => {
      const text = 'http:\n  port: 1\n';
      for (const [name, value, key, message, remedy] of [
        ['CSBM_HTTP_PORT', 'tcp://10.0.0.1:80', 'http.port', /is text/, /0 to 65535/],
        ['CSBM_HTTP_PORT', '65536', 'http.port', /is out of range/, /0 to 65535/],
        ['CSBM_CLOUDSTACK_AGENT_ENABLED', 'yes', 'cloudstack.agent.enabled', /is text/, /true or false/],
        ['CSBM_TIMINGS_ERASE', '5', 'timings.erase', /is misspelt/, /250ms, 30s/],
      ] as const) {
        const [problem, ...more] = problems(text, { [name]: value });
        assert.deepEqual(more, []);
        assert.deepEqual([problem!.source, problem!.line, problem!.key], [name, null, key]);
        assert.match(problem!.message, message);
        assert.match(problem!.remedy, remedy);
      }
    });

    it('warns of variables that look like settings and are none', () => {
      const { warnings } = load('', { CSBM_HTTP_PROT: '1', CSBM_CONFIG: '', OTHER: 'x', CSBM_URL: 'x' });
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!, /CSBM_HTTP_PROT is no setting/);
    });
  });

  describe('secrets', () => {
    it('come from the environment or a file next to the configuration, and do not print', () => {
      writeFileSync(join(folder, 'key'), 'key-from-file\n');
      const { config } = load('admin: {token: "env:TOKEN"}\nsecrets: {key: "file:key"}\n', {
        TOKEN: 'hunter2',
      });
      assert.equal(config.admin.token?.reveal(), 'hunter2');
      assert.equal(config.secrets.key?.reveal(), 'key-from-file');
      assert.doesNotMatch(JSON.stringify(config) + inspect(config, { depth: null }), /hunter2|key-from-file/);
    });

    it('are taken from their own variable as they are', () => {
      assert.equal(
        load('', { CSBM_ADMIN_TOKEN: 'env:not-a-reference' }).config.admin.token?.reveal(),
        'env:not-a-reference',
      );
    });

    for (const [name, written, message, remedy] of [
      ['standing in the file', 'hunter2', /secret itself stands in the file/, /env:NAME or file:/],
      ['that is a number', '12345', /is a number/, /env:NAME or file:/],
      ['of an unset variable', 'env:ABSENT', /variable ABSENT is not set/, /set it/],
      ['of an absent file', 'file:absent', /cannot be read \(ENOENT\)/, /let the service read it/],
    ] as const) {
      it(`are refused with line and key, and without their text: one ${name}`, () => {
        const found = problems(`http:\n  port: 1\nadmin:\n  token: ${written}\n`);
        assert.equal(found.length, 1);
        const [problem] = found;
        assert.deepEqual(
          [problem!.source, problem!.line, problem!.column, problem!.key],
          [file, 4, 3, 'admin.token'],
        );
        assert.match(problem!.message, message);
        assert.match(problem!.remedy, remedy);
        assert.doesNotMatch(JSON.stringify(problem), /hunter2|12345/);
      });
    }
  });

  describe('refuses, with line, key and remedy,', () => {
    const cases: readonly (readonly [
      name: string,
      text: string,
      line: number,
      key: string,
      message: RegExp,
      remedy: RegExp,
    ])[] = [
      [
        'an unknown section',
        'log: {}\nhtpp: {}\n',
        2,
        'htpp',
        /is unknown/,
        /use one of: stateDir, http, boot/,
      ],
      [
        'an unknown key',
        'http:\n  host: localhost\n  prot: 1\n',
        3,
        'http.prot',
        /is unknown/,
        /use one of: host, port, tls, allowPlain$/,
      ],
      [
        'a key in another case',
        'cloudstack:\n  agent:\n    trust_all: true\n',
        3,
        'cloudstack.agent.trust_all',
        /is unknown/,
        /did you mean "trustAll"/,
      ],
      ['__proto__', 'http:\n  __proto__: {port: 1}\n', 2, 'http.__proto__', /is unknown/, /use one of/],
      ['a section that is none', 'boot: {}\nhttp: 8440\n', 2, 'http', /is a number/, /write/],
      ['a list as file', '- http\n', 1, '', /not a list of keys/, /write sections/],
      ['a port as text', 'http:\n  port: "8440"\n', 2, 'http.port', /is text/, /0 to 65535/],
      ['a port out of range', 'boot:\n\n  port: 70000\n', 3, 'boot.port', /out of range/, /0 to 65535/],
      ['a number as a duration', 'timings:\n  erase: 30\n', 2, 'timings.erase', /is a number/, /250ms, 30s/],
      [
        'a duration without unit',
        'timings:\n  erase: "30"\n',
        2,
        'timings.erase',
        /is misspelt/,
        /250ms, 30s/,
      ],
      ['no time at all', 'timings:\n  erase: 0s\n', 2, 'timings.erase', /is misspelt/, /250ms, 30s/],
      ['a scale of nothing', 'timings:\n  scale: 0\n', 2, 'timings.scale', /out of range/, /above 0/],
      [
        'an unknown choice',
        'erase:\n  defaultGrade: shred\n',
        2,
        'erase.defaultGrade',
        /none of the known/,
        /secure, full/,
      ],
      ['an unknown database', 'store:\n  type: oracle\n', 2, 'store.type', /none of the known/, /sqlite/],
      [
        'a URL that is none',
        'boot:\n  publicUrl: boot:80\n',
        2,
        'boot.publicUrl',
        /is misspelt/,
        /http:\/\//,
      ],
      [
        'kernel arguments that iPXE would run',
        'boot:\n  kernelArguments: "quiet || shell"\n',
        2,
        'boot.kernelArguments',
        /is misspelt/,
        /spaces between them/,
      ],
      [
        'a misspelt server, by its place in the list',
        'cloudstack:\n  agent:\n    servers:\n      - a:1\n      - b:99999\n',
        5,
        'cloudstack.agent.servers[1]',
        /is misspelt/,
        /host:port/,
      ],
      [
        'an agent without servers',
        'cloudstack:\n  agent:\n    enabled: true\n    trustAll: true\n    servers: []\n',
        5,
        'cloudstack.agent.servers',
        /names no server/,
        /at least one/,
      ],
      [
        'an agent that could trust nobody',
        'cloudstack:\n  agent:\n    enabled: true\n    servers: [a]\n',
        2,
        'cloudstack.agent.caFile',
        /is missing/,
        /set caFile/,
      ],
      [
        'a pin and trust in everybody',
        'cloudstack:\n  agent:\n    caFile: ca.pem\n    trustAll: true\n',
        4,
        'cloudstack.agent.trustAll',
        /contradicts/,
        /keep one/,
      ],
      [
        'an address of certificates that is none',
        'cloudstack:\n  agent:\n    certificateAddresses: [192.0.2.1, example.org]\n',
        3,
        'cloudstack.agent.certificateAddresses[1]',
        /is misspelt/,
        /IP address/,
      ],
      [
        'a client certificate without key',
        'cloudstack:\n  agent:\n    clientCertFile: a.pem\n',
        3,
        'cloudstack.agent.clientCertFile',
        /stands alone/,
        /together/,
      ],
      [
        'a heartbeat that is too slow for the lease',
        'timings:\n  leaseTtl: 10s\n  leaseHeartbeat: 5s\n',
        3,
        'timings.leaseHeartbeat',
        /too slow/,
        /at least 3 times/,
      ],
      [
        'a deadline that undoing uses up',
        'timings:\n  stopDeadline: 1m\n',
        2,
        'timings.stopDeadline',
        /leaves no time/,
        /longer than undoBudget/,
      ],
      [
        'driver settings that are no keys',
        'power:\n  settings: [1]\n',
        2,
        'power.settings',
        /is a list/,
        /keys and values/,
      ],
      ['a duplicate key', 'http:\n  port: 1\n  port: 2\n', 3, '', /stands twice/, /correct the YAML/],
      ['a tab', 'http:\n\tport: 1\n', 2, '', /tab/, /correct the YAML/],
      ['an open quote', 'http:\n  host: "a\nboot: {}\n', 4, '', /missing/, /correct the YAML/],
      ['an unknown alias', 'http: *nothing\n', 1, '', /alias/, /write the values out/],
    ];
    for (const [name, text, line, key, message, remedy] of cases) {
      it(name, () => {
        const found = problems(text);
        assert.equal(found.length, 1, JSON.stringify(found));
        const [problem] = found;
        assert.deepEqual([problem!.source, problem!.line, problem!.key], [file, line, key]);
        assert.match(problem!.message, message);
        assert.match(problem!.remedy, remedy);
      });
    }

    it('everything at once, with a text that lists it', () => {
      const text = 'http:\n  port: x\nerase:\n  defaultGrade: y\nadmin:\n  token: env:ABSENT\nfoo: 1\n';
      const found = problems(text);
      assert.deepEqual(found.map(({ line }) => line).sort(), [2, 4, 6, 7]);
      assert.throws(
        () => load(text),
        (thrown) => found.every((p) => (thrown as Error).message.includes(`line ${String(p.line)}, column`)),
      );
    });

    it('a bomb of aliases, soon', () => {
      const text = [
        'a: &a [x, x]',
        ...Array.from(
          'bcdefghijkl',
          (c, i) => `${c}: &${c} [*${'abcdefghijk'[i]!}, *${'abcdefghijk'[i]!}, *${'abcdefghijk'[i]!}]`,
        ),
      ].join('\n');
      assert.match(problems(text)[0]!.message, /alias/);
    });

    it('a file that is far too large', () => {
      assert.match(problems(`# ${'x'.repeat(2_000_000)}\n`)[0]!.message, /larger than 1 MB/);
    });
  });
});
