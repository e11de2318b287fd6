import assert from 'node:assert/strict';
import { gunzipSync } from 'node:zlib';
import {
  bareCommand,
  checkNetworkCommand,
  destroyCommand,
  ipmiSetBootDevCommand,
  migrateAgentConnectionCommand,
  setupCertificateCommand,
  setupKeyStoreCommand,
  setupMsListCommand,
  startCommand,
  stopCommand,
} from '../../lab/management-server/commands.ts';
import { commandEntry } from '../../lab/management-server/agent-connection.ts';
import { composeBody, parseBody } from '../../src/wire/cloudstack/body.ts';
import { decodeFrame, encodeFrame } from '../../src/wire/cloudstack/frame.ts';
import { describeFrame, frameFromDescription } from '../../src/wire/cloudstack/frame-description.ts';
import { RawJson } from '../../src/wire/cloudstack/gson-writer.ts';
import { bodyOffset, responseHeader } from '../../src/wire/cloudstack/header.ts';
import {
  answerClass,
  answerEntry,
  stoppedAnswer,
  unsupportedAnswer,
} from '../../src/wire/cloudstack/message/answer.ts';
import { pingRoutingCommand } from '../../src/wire/cloudstack/message/ping-routing-command.ts';
import { readReadyCommand } from '../../src/wire/cloudstack/message/ready-command.ts';
import {
  readAvoidList,
  readReadyServerList,
  readServerList,
} from '../../src/wire/cloudstack/message/server-list.ts';
import { readSetupCertificateCommand } from '../../src/wire/cloudstack/message/setup-certificate-command.ts';
import { readStartupAnswer } from '../../src/wire/cloudstack/message/startup-answer.ts';
import { startupRoutingCommand } from '../../src/wire/cloudstack/message/startup-routing-command.ts';
import { readStopCommand } from '../../src/wire/cloudstack/message/stop-command.ts';
import { readVirtualMachine } from '../../src/wire/cloudstack/message/virtual-machine.ts';
import { vector, vectors } from './cloudstack-vectors.ts';

const frameOf = (name: string): Buffer => Buffer.from(vector(name).frameHex, 'hex');
const entryOf = (name: string, index = 0) => parseBody(vector(name).json)[index]!;

describe('golden frames of the CloudStack agent protocol', () => {
  it('are all here', () => assert.ok(vectors.length >= 69, `${vectors.length} vectors`));

  for (const golden of vectors) {
    describe(golden.name, () => {
      it('is described as the real classes see it', () => {
        const described = describeFrame(golden.frameHex);
        assert.deepEqual(described, {
          headerFields: golden.headerFields,
          compressed: golden.compressed,
          bodyBytes: golden.bodyBytes,
          classes: golden.classes,
          json: golden.json,
        });
      });

      it('is written byte for byte', () => {
        const written = frameFromDescription(JSON.stringify(golden));
        if (!golden.compressed) {
          assert.equal(written, golden.frameHex);
          return;
        }
        // gzip bytes differ between zlib and the JDK; header and content may not.
        const offset = bodyOffset(0);
        const ours = Buffer.from(written, 'hex');
        const theirs = Buffer.from(golden.frameHex, 'hex');
        assert.deepEqual(ours.subarray(0, offset), theirs.subarray(0, offset));
        assert.deepEqual(gunzipSync(ours.subarray(offset)), gunzipSync(theirs.subarray(offset)));
      });

      it('keeps its body text through parse and compose', () => {
        assert.equal(composeBody(parseBody(golden.json)), golden.json);
      });
    });
  }
});

describe('answers to golden requests', () => {
  const pairs: readonly (readonly [string, string])[] = [
    ['start-in-sequence', 'start-answer-ok'],
    ['stop-in-sequence', 'stop-answer-ok'],
    ['ready-full', 'ready-answer-details-map'],
    ['multi-continue-on-error', 'multi-answer-continue'],
    ['reboot', 'reboot-answer-vnc'],
    ['maintain', 'maintain-answer'],
    ['plug-nic', 'plug-nic-answer'],
    ['setup-ms-list', 'setup-ms-list-answer'],
    ['migrate', 'migrate-answer-fail'],
  ];
  for (const [request, response] of pairs) {
    it(`${response} has the header made from ${request}`, () => {
      const { header } = decodeFrame(frameOf(request));
      const answered = encodeFrame(responseHeader(header), vector(response).json);
      assert.equal(answered.toString('hex'), vector(response).frameHex);
    });
  }

  it('StartAnswer carries the VM of its StartCommand unchanged', () => {
    const vm = readVirtualMachine(entryOf('start-in-sequence'))!;
    const answer = answerEntry(answerClass.StartAnswer, {
      result: true,
      fields: { vm: new RawJson(vm.text) },
    });
    assert.equal(composeBody([answer]), vector('start-answer-ok').json);
  });

  it('StartAnswer echoes numbers above 2^53, typed objects and raw UTF-8 as they came', () => {
    for (const name of [
      'start-with-disk-typed-to',
      'start-non-ascii-and-escapes',
      'start-large-compressed',
    ]) {
      const vm = readVirtualMachine(entryOf(name))!;
      assert.ok(vector(name).json.includes(`{"vm":${vm.text},"hostIp"`), name);
    }
  });

  it('answers are written as the real classes write them', () => {
    const cases: readonly (readonly [string, ReturnType<typeof answerEntry>])[] = [
      ['stop-answer-ok', answerEntry(answerClass.StopAnswer, { result: true, details: 'Success' })],
      [
        'stop-answer-fail',
        answerEntry(answerClass.StopAnswer, { result: false, details: 'power off failed' }),
      ],
      [
        'stop-answer-platform',
        answerEntry(answerClass.StopAnswer, {
          result: true,
          details: 'Success',
          fields: { platform: 'device-model=x' },
        }),
      ],
      [
        'ready-answer-failed',
        answerEntry(answerClass.ReadyAnswer, { result: false, details: 'PXE service not ready' }),
      ],
      ['shutdown-answer', answerEntry(answerClass.Answer, { result: true })],
      ['cron-answer', answerEntry(answerClass.Answer, { result: true })],
      ['setup-ms-list-answer', answerEntry(answerClass.SetupMSListAnswer, { result: true })],
      ['agent-control-answer', answerEntry(answerClass.AgentControlAnswer, { result: true })],
      [
        'migrate-agent-connection-answer-fail',
        answerEntry(answerClass.MigrateAgentConnectionAnswer, { result: false, details: 'no other server' }),
      ],
      [
        'setup-keystore-answer',
        answerEntry(answerClass.SetupKeystoreAnswer, {
          result: true,
          fields: {
            csr: '-----BEGIN CERTIFICATE REQUEST-----\nMIICijCCAXICAQAwRTELMAkGA1UEBhMCQVU=\n-----END CERTIFICATE REQUEST-----\n',
          },
        }),
      ],
      ['unsupported-answer', unsupportedAnswer('com.cloud.agent.api.baremetal.IpmiBootorResetCommand')],
    ];
    for (const [name, entry] of cases) assert.equal(composeBody([entry]), vector(name).json, name);
    assert.equal(
      composeBody([stoppedAnswer()]),
      '[{"com.cloud.agent.api.Answer":{"result":false,"details":"Stopped by previous failure","contextMap":{},"wait":0,"bypassHostMaintenance":false}}]',
    );
  });
});

describe("the agent's own requests", () => {
  it('StartupRoutingCommand has every field of the golden one, and cpuArch', () => {
    const entry = startupRoutingCommand(
      {
        guid: 'b1f2c3d4-1111-2222-3333-444455556666-BareMetalProvider',
        name: 'bm-node-07',
        zone: '1',
        pod: '1',
        cluster: '3',
        hypervisorType: 'BareMetal',
        arch: 'x86_64',
        cpus: 32,
        cpuSockets: 2,
        speedMhz: 2400,
        memoryBytes: 137_438_953_472,
        privateIp: '10.9.8.7',
        privateNetmask: '255.255.255.0',
        gateway: '10.9.8.1',
        privateMac: '52:54:00:12:34:56',
        hostTags: ['baremetal', 'gpu'],
        hostDetails: {
          'Host.OS': 'BareMetal',
          'com.cloud.network.Networks.RouterPrivateIpStrategy': 'HostLocal',
        },
        resourceName: 'BareMetalProvider',
        version: '4.22.0.0',
      },
      42n,
    );
    const ours = JSON.parse(composeBody([entry])) as Record<string, Record<string, unknown>>[];
    const golden = JSON.parse(vector('startup-routing-baremetal-reconnect').json) as typeof ours;
    const className = 'com.cloud.agent.api.StartupRoutingCommand';
    // Ours are optional fields that the golden sender had from elsewhere: the server list, the health script, a migration.
    const { msHostList, hostHealthCheckResult, connectionTransferred, ...expected } = golden[0]![className]!;
    assert.ok(msHostList && hostHealthCheckResult && connectionTransferred);
    assert.deepEqual(ours[0]![className], { ...expected, connectionTransferred: false, cpuArch: 'x86_64' });
  });

  it('PingRoutingCommand is the golden one, with a report and without', () => {
    const report = new Map([
      ['i-2-77-VM', 'PowerOn'],
      ['i-2-78-VM', 'PowerOff'],
    ] as const);
    const ping = (with_: typeof report | null): string =>
      composeBody([pingRoutingCommand({ hostId: 42n, hostName: 'host-42', report: with_ })]);
    assert.equal(ping(report), vector('ping-routing-vm-report').json);
    assert.equal(ping(null), vector('ping-routing-null-report').json);
  });
});

describe('golden messages are read', () => {
  it('StartupAnswer, ReadyCommand and its refusal', () => {
    assert.deepEqual(readStartupAnswer(entryOf('startup-answer-first')), {
      result: true,
      details: null,
      hostId: 0n,
      pingInterval: 60,
    });
    assert.equal(readStartupAnswer(entryOf('startup-answer-known')).hostId, 42n);
    assert.deepEqual(readReadyCommand(entryOf('ready-full')), { hostId: 42n, refusal: null });
    assert.match(readReadyCommand(entryOf('ready-rejected')).refusal!, /No resource state adapter response/);
  });

  it('lists of servers, in all the commands that carry one', () => {
    const told = { hosts: ['10.0.0.11', '10.0.0.12'], avoid: ['10.0.0.13'] };
    assert.deepEqual(readReadyServerList(entryOf('ready-full')), {
      ...told,
      algorithm: 'static',
      checkInterval: 0,
    });
    assert.equal(readReadyServerList(entryOf('ready-minimal')), null);
    assert.deepEqual(readServerList(entryOf('setup-ms-list')), {
      ...told,
      algorithm: 'roundrobin',
      checkInterval: 60,
    });
    assert.deepEqual(readServerList(entryOf('migrate-agent-connection')), {
      hosts: ['10.0.0.12'],
      avoid: ['10.0.0.11'],
      algorithm: 'shuffle',
      checkInterval: 0,
    });
    assert.deepEqual(readAvoidList(entryOf('ping-answer')), ['10.0.0.13']);
    assert.equal(readAvoidList(entryOf('startup-answer-first')), null);
  });

  it('the certificate of a SetupCertificateCommand', () => {
    const { certificate } = readSetupCertificateCommand(entryOf('setup-certificate'));
    assert.equal(certificate, '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n');
  });

  it('StopCommand with force and expunge', () => {
    assert.deepEqual(readStopCommand(entryOf('stop-force-expunge-maps')), {
      vmName: 'i-2-78-VM',
      id: null,
      uuid: null,
      forceStop: true,
      expungeVM: true,
      checkBeforeCleanup: true,
    });
  });

  it('the VM of a StartCommand', () => {
    const vm = readVirtualMachine(entryOf('start-in-sequence'))!;
    assert.equal(vm.id, '77');
    assert.equal(vm.name, 'i-2-77-VM');
    assert.equal(vm.bootArgs, 'do_pxe');
    assert.equal(vm.details.template, 'ubuntu/noble?arch=amd64&kernel=hwe');
    assert.deepEqual(
      vm.nics.map((nic) => [nic.deviceId, nic.mac, nic.defaultNic, nic.broadcastUri]),
      [
        [0, '52:54:00:aa:bb:01', true, 'vlan://1201'],
        [1, '52:54:00:aa:bb:02', false, 'vlan://1305'],
      ],
    );
    assert.equal(readVirtualMachine(entryOf('start-non-ascii-and-escapes'))!.hostName, 'höst-日本-🚀');
  });
});

describe("the lab's commands have the shape of the golden ones", () => {
  const instance = {
    name: 'i-2-77-VM',
    id: 77,
    uuid: '6f1b6b9a-2f0e-4b1e-9c57-0d9d7c2b4a11',
    hostName: 'bm-web-01',
    template: 'ubuntu/noble?arch=amd64&kernel=hwe',
    doPxe: true,
    nics: [
      { mac: '52:54:00:aa:bb:01', ip: '10.1.1.55', gateway: '10.1.1.1', broadcastUri: 'vlan://1201' },
      { mac: '52:54:00:aa:bb:02', ip: '192.168.77.9', gateway: '192.168.77.1', broadcastUri: 'vlan://1305' },
    ],
  };
  const text = (command: Parameters<typeof commandEntry>[0]): string => composeBody([commandEntry(command)]);

  it('start', () =>
    assert.equal(
      text(startCommand(instance, { executeInSequence: true })),
      vector('start-in-sequence').json,
    ));
  it('stop', () =>
    assert.equal(
      text(stopCommand({ name: 'i-2-77-VM' }, { executeInSequence: true })),
      vector('stop-in-sequence').json,
    ));
  it('destroy', () => assert.equal(text(destroyCommand(instance)), vector('baremetal-destroy').json));
  it('check network', () => assert.equal(text(checkNetworkCommand()), vector('check-network').json));
  it('server lists', () => {
    const list = (
      hosts: readonly string[],
      avoid: readonly string[],
      algorithm: 'roundrobin' | 'shuffle',
      checkInterval: number,
    ) => ({ hosts, avoid, algorithm, checkInterval });
    const given = list(['10.0.0.11', '10.0.0.12'], ['10.0.0.13'], 'roundrobin', 60);
    assert.equal(text(setupMsListCommand(given, true)), vector('setup-ms-list').json);
    const away = list(['10.0.0.12'], ['10.0.0.11'], 'shuffle', 0);
    assert.equal(text(migrateAgentConnectionCommand(away)), vector('migrate-agent-connection').json);
  });
  it('certificates', () => {
    const pem = (body: string): string => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`;
    const waited = (command: Parameters<typeof commandEntry>[0]): string =>
      composeBody([commandEntry(command, 60)]);
    assert.equal(waited(setupKeyStoreCommand()), vector('setup-keystore').json);
    assert.equal(waited(setupCertificateCommand(pem('MIIB'), pem('MIIC'))), vector('setup-certificate').json);
  });
  it('boot device', () => assert.equal(text(ipmiSetBootDevCommand('pxe')), vector('ipmi-set-boot-dev').json));
  it('a bare command', () => assert.equal(text(bareCommand('MaintainCommand')), vector('maintain').json));
});
