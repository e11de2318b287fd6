import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { DeviceError } from '../../../plugin-api/index.ts';
import {
  bareCommand,
  destroyCommand,
  ipmiSetBootDevCommand,
  startCommand,
  stopCommand,
  type LabInstance,
} from '../../../lab/management-server/commands.ts';
import type { LabManagementServer } from '../../../lab/management-server/lab-management-server.ts';
import type { StartRequest, StopRequest } from '../../../src/api/cloudstack-agent/agent-commands.ts';
import { servedCommands } from '../../../src/api/cloudstack-agent/command-table.ts';
import { Deferred } from '../../../src/kernel/concurrency/deferred.ts';
import { ServiceError } from '../../../src/kernel/errors/service-error.ts';
import { decodeFrame } from '../../../src/wire/cloudstack/frame.ts';
import { vector } from '../../golden/cloudstack-vectors.ts';
import { AgentHarness, facts, machineId } from './agent-harness.ts';

const api = 'com.cloud.agent.api.';
const instance: LabInstance = {
  name: 'i-2-77-VM',
  id: 9_007_199_254_740_993n,
  uuid: '6f1b6b9a-2f0e-4b1e-9c57-0d9d7c2b4a11',
  hostName: 'höst-日本',
  template: 'http://images/debian-12?a=b&c=<d>',
  doPxe: true,
  nics: [
    { mac: '52:54:00:AA:BB:01', ip: '10.1.1.55', gateway: '10.1.1.1', broadcastUri: 'vlan://1201' },
    { mac: '52:54:00:aa:bb:02', broadcastUri: 'vlan://1305' },
  ],
};

describe('agent link: commands', () => {
  let harness: AgentHarness;
  let server: LabManagementServer;
  let hostId: bigint;
  beforeEach(async () => {
    harness = new AgentHarness();
    server = await harness.server();
    await harness.connect(server);
    ({ hostId } = await server.waitForHost(facts.guid));
  });
  afterEach(() => harness.close());

  it('StartCommand is translated in full and answered with its VM unchanged', async () => {
    const userData = '#cloud-config\npassword: tenant-secret\n';
    const start = startCommand({
      ...instance,
      vmData: [
        ['userdata', 'user_data', Buffer.from(userData).toString('base64')],
        ['metadata', 'public-keys', 'ssh-ed25519 AAAA one\n\nssh-rsa BBBB two\n'],
        ['metadata', 'local-hostname', 'ignored'],
      ],
    });
    const [answer] = await server.send(hostId, [start], { wait: 5400 });
    assert.equal(answer!.className, `${api}StartAnswer`);
    assert.equal(answer!.result, true);
    assert.ok(answer!.text.includes('"id":9007199254740993,'));
    assert.ok(answer!.text.includes('"hostName":"höst-日本"'));
    assert.ok(answer!.text.includes('"disks":[]'));

    assert.equal(harness.calls.length, 1);
    const call = harness.calls[0]!;
    assert.deepEqual([call.verb, call.machineId], ['start', machineId]);
    const request = call.request as StartRequest;
    assert.deepEqual(request.instance, {
      name: 'i-2-77-VM',
      id: '9007199254740993',
      uuid: '6f1b6b9a-2f0e-4b1e-9c57-0d9d7c2b4a11',
    });
    assert.equal(request.firstDeployment, true);
    assert.equal(request.template, 'http://images/debian-12?a=b&c=<d>');
    assert.equal(request.hostName, 'höst-日本');
    assert.equal(request.wait, 5400);
    assert.equal(request.userData, userData);
    assert.deepEqual(request.sshKeys, ['ssh-ed25519 AAAA one', 'ssh-rsa BBBB two']);
    assert.deepEqual(
      request.nics.map((nic) => [nic.mac, nic.deviceId, nic.defaultNic, nic.broadcastUri, nic.ip]),
      [
        ['52:54:00:aa:bb:01', 0, true, 'vlan://1201', '10.1.1.55'],
        ['52:54:00:aa:bb:02', 1, false, 'vlan://1305', null],
      ],
    );
    const log = harness.logLines.join('');
    assert.ok(!log.includes('vncPW') && !log.includes('tenant-secret'), 'no secret in the log');
    assert.deepEqual(server.anomalies, []);
  });

  it('a known instance is not a first deployment, and no wait is null', async () => {
    await server.send(hostId, [startCommand({ ...instance, doPxe: false })]);
    const request = harness.calls[0]!.request as StartRequest;
    assert.equal(request.firstDeployment, false);
    assert.equal(request.wait, null);
    assert.equal(request.userData, null);
  });

  it('a StartCommand of 86 KB comes compressed over several packets, and its VM goes back', async () => {
    const details = Object.fromEntries(
      Array.from({ length: 1_100 }, (_, index) => [`detail.${index}`, randomBytes(30).toString('base64')]),
    );
    const start = startCommand({ ...instance, details });
    const [answer] = await server.send(hostId, [start]);
    assert.ok(answer!.text.length > 60_000, `${answer!.text.length} characters`);
    assert.equal(answer!.result, true);
    const request = harness.calls[0]!.request as StartRequest;
    for (const [key, value] of Object.entries(details)) assert.equal(request.details[key], value);
  });

  it('StopCommand, with force and expunge', async () => {
    const [answer] = await server.send(hostId, [
      stopCommand({ name: 'i-2-77-VM', force: true, expunge: true }),
    ]);
    assert.deepEqual([answer!.className, answer!.result], [`${api}StopAnswer`, true]);
    const request = harness.calls[0]!.request as StopRequest;
    assert.deepEqual([request.instance.name, request.force, request.expunge], ['i-2-77-VM', true, true]);
    await server.send(hostId, [stopCommand({ name: 'i-2-77-VM' })]);
    const plain = harness.calls[1]!.request as StopRequest;
    assert.deepEqual([plain.force, plain.expunge], [false, false]);
  });

  it('baremetal DestroyCommand gets a plain Answer', async () => {
    const [answer] = await server.send(hostId, [destroyCommand(instance)]);
    assert.deepEqual([answer!.className, answer!.result], [`${api}Answer`, true]);
    assert.equal(harness.calls[0]!.verb, 'destroy');
    assert.deepEqual(server.anomalies, [], 'the in-sequence queue is released');
  });

  it('a failure is told in the right class with its safe text', async () => {
    harness.perform = () =>
      Promise.reject(
        new DeviceError({ code: 'power.unreachable', where: 'bmc 10.0.0.9', what: 'no answer' }),
      );
    for (const [command, className] of [
      [startCommand(instance), 'StartAnswer'],
      [stopCommand({ name: 'i-2-77-VM' }), 'StopAnswer'],
      [destroyCommand(instance), 'Answer'],
    ] as const) {
      const [answer] = await server.send(hostId, [command]);
      assert.equal(answer!.className, api + className);
      assert.equal(answer!.result, false);
      assert.match(answer!.details!, /bmc 10\.0\.0\.9: no answer.*\[power\.unreachable\]/);
      assert.ok(answer!.text.includes('"contextMap":{}'), 'another host may be tried');
    }
  });

  it('a failure that another machine would meet too says stopRetry; an error may know better', async () => {
    const stopRetryOf = async (error: Error): Promise<unknown> => {
      harness.perform = () => Promise.reject(error);
      const [answer] = await server.send(hostId, [startCommand(instance)]);
      return (answer!.fields.contextMap as Record<string, unknown>).stopRetry;
    };
    assert.equal(await stopRetryOf(new ServiceError({ code: 'image.no-match', what: 'no image' })), 'true');
    assert.equal(await stopRetryOf(new ServiceError({ code: 'network.vlan-uri', what: 'vxlan' })), 'true');
    assert.equal(await stopRetryOf(new ServiceError({ code: 'claim.unknown-instance', what: 'x' })), 'true');
    assert.equal(await stopRetryOf(new ServiceError({ code: 'wiring.none', what: 'not wired' })), undefined);
    assert.equal(await stopRetryOf(new ServiceError({ code: 'machine.quarantined', what: 'x' })), undefined);
    const exception = new ServiceError({ code: 'wiring.none', what: 'not wired' });
    assert.equal(await stopRetryOf(Object.assign(exception, { stopRetry: true })), 'true');
    assert.equal(await stopRetryOf(new Error('anything')), undefined);
  });

  it('a fault of ours is answered without its insides', async () => {
    harness.perform = () => Promise.reject(new TypeError('cannot read hunter2'));
    const [answer] = await server.send(hostId, [startCommand(instance)]);
    assert.equal(answer!.className, `${api}StartAnswer`);
    assert.match(answer!.details!, /\[internal\.bug\]/);
    assert.ok(!answer!.details!.includes('hunter2'));
  });

  it('a command that cannot be understood is a failed answer of its class', async () => {
    const cases = [
      [{ ...bareCommand('StartCommand') }, 'StartAnswer', /no vm/],
      [{ ...bareCommand('StopCommand') }, 'StopAnswer', /does not name its instance/],
      [{ ...bareCommand(`${api}baremetal.DestroyCommand`) }, 'Answer', /no vm/],
      [startCommand({ ...instance, nics: [{ mac: 'not-a-mac' }] }), 'StartAnswer', /not a MAC/],
      [
        startCommand({
          ...instance,
          vmData: [['userdata', 'user_data', Buffer.from([0x1f, 0x8b, 0xff]).toString('base64')]],
        }),
        'StartAnswer',
        /user data is not text/,
      ],
    ] as const;
    for (const [command, className, details] of cases) {
      const [answer] = await server.send(hostId, [command]);
      assert.deepEqual([answer!.className, answer!.result], [api + className, false]);
      assert.match(answer!.details!, details);
    }
    assert.equal(harness.calls.length, 0);
  });

  it('questions about power and health get the classes that the server casts to', async () => {
    harness.power = 'PowerOff';
    const [machine] = await server.send(hostId, [vmName('CheckVirtualMachineCommand')]);
    assert.deepEqual([machine!.className, machine!.result], [`${api}CheckVirtualMachineAnswer`, true]);
    assert.equal(machine!.fields['state'], 'PowerOff');
    const [healthy] = await server.send(hostId, [bareCommand('CheckHealthCommand')]);
    assert.deepEqual([healthy!.className, healthy!.result], [`${api}CheckHealthAnswer`, true]);
    harness.health = () =>
      Promise.reject(new ServiceError({ code: 'machine.state', what: 'the BMC is silent' }));
    const [ill] = await server.send(hostId, [bareCommand('CheckHealthCommand')]);
    assert.equal(ill!.result, false);
    assert.match(ill!.details ?? '', /the BMC is silent/);
    const [other] = await server.send(hostId, [bareCommand('CheckOnHostCommand')]);
    assert.deepEqual([other!.className, other!.fields['determined']], [`${api}CheckOnHostAnswer`, false]);
    const [maintain] = await server.send(hostId, [bareCommand('MaintainCommand')]);
    assert.deepEqual([maintain!.className, maintain!.result], [`${api}MaintainAnswer`, true]);
    assert.equal(maintain!.fields['willMigrate'], false);
  });

  it('what a physical server cannot do is refused in the class that the server casts to', async () => {
    for (const name of ['PrepareForMigration', 'Migrate', 'GetVncPort']) {
      const [answer] = await server.send(hostId, [bareCommand(`${name}Command`)]);
      assert.deepEqual([answer!.className, answer!.result], [`${api}${name}Answer`, false]);
      assert.match(answer!.details ?? '', /bare-metal/);
    }
  });

  it('the boot device and the power belong to operations: only what is so anyway is granted', async () => {
    const [disk] = await server.send(hostId, [ipmiSetBootDevCommand('disk')]);
    assert.deepEqual([disk!.className, disk!.result], [`${api}Answer`, true]);
    for (const command of [
      ipmiSetBootDevCommand('pxe'),
      ipmiSetBootDevCommand('cdrom'),
      bareCommand(`${api}baremetal.IpmiBootorResetCommand`),
    ]) {
      const [answer] = await server.send(hostId, [command]);
      assert.deepEqual([answer!.className, answer!.result], [`${api}Answer`, false]);
      assert.match(answer!.details ?? '', /StartCommand/, 'it says what to do instead');
    }
    assert.deepEqual(harness.calls, [], 'nothing was touched');
    assert.deepEqual(server.anomalies, [], 'the in-sequence queue goes on');
  });

  it('what every command of the table gets is of the class that the table says', async () => {
    for (const { command, answerClass: expected } of servedCommands()) {
      const [answer] = await server.send(hostId, [bareCommand(command)]);
      assert.equal(answer!.className, expected, command);
    }
  });

  it('everything else is UnsupportedAnswer; cron commands are taken', async () => {
    for (const name of [
      'PingTestCommand',
      'GetHostStatsCommand',
      'GetVmStatsCommand',
      'GetVmDiskStatsCommand',
      'GetVmNetworkStatsCommand',
      'SecurityGroupRulesCmd',
      'org.example.Unheard',
      'toString',
      '__proto__',
    ]) {
      const [answer] = await server.send(hostId, [bareCommand(name)]);
      assert.deepEqual([answer!.className, answer!.result], [`${api}UnsupportedAnswer`, false]);
    }
    const [cron] = await server.send(hostId, [bareCommand('CleanupNetworkRulesCmd')]);
    assert.deepEqual([cron!.className, cron!.result], [`${api}Answer`, true]);
  });

  it('commands of one frame run in order, and stop at the first failure only where the frame says so', async () => {
    harness.perform = (call) =>
      call.verb === 'stop'
        ? Promise.reject(new ServiceError({ code: 'machine.state', what: 'no' }))
        : Promise.resolve();
    const commands = [startCommand(instance), stopCommand({ name: 'i-2-77-VM' }), startCommand(instance)];
    const stopped = await server.send(hostId, commands, { stopOnError: true });
    assert.deepEqual(
      stopped.map((answer) => [answer.className, answer.result]),
      [
        [`${api}StartAnswer`, true],
        [`${api}StopAnswer`, false],
        [`${api}Answer`, false],
      ],
    );
    assert.equal(stopped[2]!.details, 'Stopped by previous failure');
    assert.deepEqual(
      harness.calls.map((call) => call.verb),
      ['start', 'stop'],
    );
    const all = await server.send(hostId, commands, { stopOnError: false });
    assert.deepEqual(
      all.map((answer) => answer.className),
      [`${api}StartAnswer`, `${api}StopAnswer`, `${api}StartAnswer`],
    );
    assert.deepEqual(await server.send(hostId, []), []);
    assert.deepEqual(server.anomalies, []);
  });

  it('concurrent commands do not wait for each other', async () => {
    const slow = new Deferred<undefined>();
    harness.perform = (call) => (call.verb === 'start' ? slow.promise : Promise.resolve());
    const starting = server.send(hostId, [startCommand(instance)]);
    const others = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        server.send(hostId, [stopCommand({ name: `i-2-${index}-VM` })]),
      ),
    );
    assert.ok(others.every(([answer]) => answer!.result));
    assert.equal(harness.status.running, 1);
    slow.resolve(undefined);
    const [answer] = await starting;
    assert.equal(answer!.className, `${api}StartAnswer`);
    assert.deepEqual(server.anomalies, []);
  });

  it('a link lost in the middle of a command: the command goes on, its repetition on the new link gets the answer', async () => {
    const work = new Deferred<undefined>();
    harness.perform = () => work.promise;
    server.behaviours.dropAfter = `${api}StartCommand`;
    const first = server.send(hostId, [startCommand(instance)]);
    await assert.rejects(first, /link was lost/);
    await harness.until('the command to arrive', () => (harness.calls.length === 1 ? true : undefined));
    await server.waitForHost(facts.guid, { connects: 2 });
    const repeated = server.send(hostId, [startCommand(instance)]);
    await harness.until('the repetition to arrive', () => (harness.calls.length === 2 ? true : undefined));
    assert.equal(harness.status.running, 2);
    work.resolve(undefined);
    const [answer] = await repeated;
    assert.deepEqual([answer!.className, answer!.result], [`${api}StartAnswer`, true]);
    await harness.logged(/answer dropped: its link is gone/);
    assert.deepEqual(server.anomalies, [], 'the old answer did not go to the new link');
  });

  it('a repetition on the same link, with a new sequence, is answered too', async () => {
    const work = new Deferred<undefined>();
    harness.perform = () => work.promise;
    const both = [
      server.send(hostId, [startCommand(instance)]),
      server.send(hostId, [startCommand(instance)]),
    ];
    await harness.until('both to arrive', () => (harness.calls.length === 2 ? true : undefined));
    work.resolve(undefined);
    for (const [answer] of await Promise.all(both)) assert.equal(answer!.result, true);
  });

  describe('and damaged frames', () => {
    async function linkStillWorks(): Promise<void> {
      const [answer] = await server.send(hostId, [stopCommand({ name: 'i-2-77-VM' })]);
      assert.equal(answer!.result, true);
      assert.equal(server.startups, 1, 'on the same link');
      assert.deepEqual(server.anomalies, []);
    }

    it('frames that are not for agents, and answers to nothing, are ignored', async () => {
      await server.sendRaw(hostId, Buffer.from(vector('cancel-control').frameHex, 'hex'));
      await harness.logged(/between management servers ignored/);
      await server.sendRaw(hostId, Buffer.from(vector('startup-answer-first').frameHex, 'hex'));
      await server.sendRaw(hostId, Buffer.from(vector('agent-control-answer-from-server').frameHex, 'hex'));
      await harness.logged(/StartupAnswer.*answer to nothing ignored/);
      await harness.logged(/AgentControlAnswer.*answer to nothing ignored/);
      await linkStillWorks();
    });

    it('a message without end closes the link, which then comes back', async () => {
      await server.sendRaw(hostId, Buffer.alloc(17 * 1024 * 1024)).catch(() => undefined);
      await harness.logged(/longer than the limit/);
      await server.waitForHost(facts.guid, { connects: 2 });
    });

    it('a golden frame that the server would send works as it is', async () => {
      const golden = Buffer.from(vector('stop-force-expunge-maps').frameHex, 'hex');
      await server.sendRaw(hostId, golden);
      await harness.until('the stop', () => (harness.calls.length === 1 ? true : undefined));
      assert.equal((harness.calls[0]!.request as StopRequest).expunge, true);
      const { header: answered } = decodeFrame(golden);
      await server.until('its answer', () =>
        server.anomalies.some((line) => line.includes(answered.sequence.toString())) ? true : undefined,
      );
    });
  });
});

function vmName(className: string): ReturnType<typeof bareCommand> {
  return { ...bareCommand(className), fields: { vmName: 'i-2-77-VM' } };
}
