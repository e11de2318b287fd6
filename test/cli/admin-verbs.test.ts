import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LabBmc } from '../../lab/bmc/lab-bmc.ts';
import { StandaloneHost } from '../../lab/bmc/standalone-host.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { AdminService, bmcPassword, rackConfig, type Body } from '../api/admin/admin-service.ts';
import { csbm, type Ended, type RunOptions } from './run-csbm.ts';

describe('csbm: verbs of the service', () => {
  const service = new AdminService();
  const bmc = new LabBmc({
    host: new StandaloneHost({ clock: new SystemClock() }),
    traits: { users: [{ name: 'admin', password: bmcPassword, level: 3 }] },
  });
  let bmcAddress: string;
  let files: string;

  before(async () => {
    await service.start();
    const { port } = await bmc.listen();
    bmcAddress = `127.0.0.1:${port}`;
    files = join(service.folder, 'files');
    mkdirSync(files);
  });
  after(async () => {
    await service.dispose();
    await bmc.close();
  });

  const run = (args: readonly string[], options: RunOptions = {}): Promise<Ended> =>
    csbm(args, {
      cwd: files,
      ...options,
      env: { CSBM_URL: service.url, CSBM_TOKEN_FILE: service.tokenFile, ...options.env },
    });
  /** It must succeed, and print one document. */
  const document = async (args: readonly string[], options: RunOptions = {}): Promise<Body> => {
    const { code, out, err } = await run([...args, '--json'], options);
    assert.equal(code, 0, err);
    return JSON.parse(out) as Body;
  };
  const enrol = (name: string, mac: string, ...more: string[]): readonly string[] => [
    'machine',
    'enrol',
    name,
    '--mac',
    mac,
    '--bmc-user',
    'admin',
    ...more,
  ];

  it('machine enrol takes the password from the environment, a file or a prompt, and shows it nowhere', async () => {
    const one = enrol('node-1', '52:54:00:aa:00:01', '--bmc', bmcAddress, '--wiring', 'none');
    const byVariable = await run(one, { env: { CSBM_BMC_PASSWORD: bmcPassword } });
    assert.equal(byVariable.code, 0, byVariable.err);
    assert.match(byVariable.out, /^node-1 is machine [a-z0-9]{6}, new\n$/);

    writeFileSync(join(files, 'bmc.password'), `${bmcPassword}\n`);
    const two = enrol(
      'node-2',
      '52:54:00:aa:00:02',
      '--bmc',
      '127.0.0.1',
      '--bmc-password-file',
      'bmc.password',
    );
    const byFile = await document([
      ...two,
      '--mac',
      '52:54:00:bb:00:02',
      '--min-suite',
      '17',
      '--pool',
      'gpu',
    ]);
    assert.equal(byFile.machine.bmc?.host, '127.0.0.1');
    assert.equal(byFile.machine.bmc.port, 623);
    assert.equal(byFile.machine.pool, 'gpu');
    assert.equal(byFile.machine.nics.length, 2);

    const three = enrol('node-3', '52:54:00:aa:00:03', '--bmc', '[2001:db8::7]:6230');
    const keys = `wrong\u0015x\u007f${bmcPassword}\r`;
    const byPrompt = await run(three, { keys });
    assert.equal(byPrompt.code, 0, byPrompt.err);
    assert.match(byPrompt.err, /^password of BMC user admin: \n$/);
    assert.equal((await document(['machine', 'show', 'node-3'])).machine.bmc?.host, '2001:db8::7');

    const interrupted = await run(three, { keys: 'secr\u0003' });
    assert.equal(interrupted.code, 130);
    const nobody = await run(three);
    assert.equal(nobody.code, 2);
    assert.match(nobody.err, /CSBM_BMC_PASSWORD/);
    for (const { out, err } of [byVariable, byPrompt]) assert.ok(!`${out}${err}`.includes(bmcPassword));
    assert.ok(!service.log.includes(bmcPassword));
  });

  it('machine enrol places a machine in CloudStack whole or not at all', async () => {
    const four = enrol('node-4', '52:54:00:aa:00:04', '--bmc', 'bmc-4', '--zone', 'z1');
    const env = { CSBM_BMC_PASSWORD: '' };
    const partly = await run(four, { env });
    assert.equal(partly.code, 2);
    assert.match(partly.err, /--cloud, --pod, --cluster/);
    const place = ['--cloud', 'c1', '--pod', 'p1', '--cluster', 'm1', '--host-tag', 'gpu'];
    const { machine } = await document([...four, ...place], { env });
    const { cloud, zone, pod, cluster, hostTag } = machine.cloudPlace!;
    assert.deepEqual([cloud, zone, pod, cluster, hostTag], ['c1', 'z1', 'p1', 'm1', 'gpu']);
  });

  it('machine list and show are tables for people, and documents for programs', async () => {
    const { machines } = await document(['machine', 'list']);
    assert.deepEqual(
      machines.map((machine) => machine.hostname),
      ['node-1', 'node-2', 'node-3', 'node-4'],
    );
    const { out } = await run(['machine', 'list']);
    const lines = out.trimEnd().split('\n');
    assert.match(lines[0]!, /^NAME +ID +STATE +POWER +BMC/);
    assert.equal(lines.length, 5);
    assert.match(lines[1]!, new RegExp(`^node-1 +${machines[0]!.id} +new `));
    const shown = await run(['machine', 'show', machines[0]!.id]);
    assert.match(shown.out, /^name +node-1$/m);
    assert.match(shown.out, /^NIC nic0 +52:54:00:aa:00:01, link down$/m);
  });

  it('what is refused ends with 1, as text and as document', async () => {
    const { code, out, err } = await run(['machine', 'show', 'nobody', '--json']);
    assert.equal(code, 1);
    assert.equal((JSON.parse(out) as Body).error.code, 'machine.unknown');
    assert.match(
      err,
      /^error: there is no machine "nobody" \[machine\.unknown\]\n {2}to do: {3}enrol it first\n$/,
    );
  });

  it('machine quarantine and lift', async () => {
    assert.equal((await run(['machine', 'quarantine', 'node-2', '--reason', 'fan'])).code, 0);
    assert.match((await run(['status'])).out, /^! machine node-2 is withheld: admin: fan\b/m);
    assert.equal((await document(['machine', 'lift', 'node-2'])).machine.quarantine, null);
    assert.doesNotMatch((await run(['health'])).out, /node-2/);
  });

  it('an operation is planned, begun, followed with its evidence, and its failure is 1', async () => {
    const plan = await run(['machine', 'commission', 'node-1', '--grade', 'none', '--plan']);
    assert.equal(plan.code, 0, plan.err);
    assert.match(plan.out, /^1\. bmc\.probe\n {5}log in to the BMC of node-1$/m);
    assert.deepEqual((await document(['operation', 'list'])).operations, []);

    // Nobody answers for its BMC.
    const failed = await run(['machine', 'commission', 'node-2', '--follow', '--reason', 'try it']);
    assert.equal(failed.code, 1);
    assert.match(failed.out, /^commission op-\S+ begins\n/);
    assert.match(failed.out, /^ {2}failed {4}bmc\.probe: /m);
    assert.match(failed.out, /^commission failed after /m);
    assert.match(failed.err, /^error: .*\[power\.\w+\]$/m);
  });

  it('a followed operation goes on after Ctrl-C, is listed, shown, cancelled, and tried again', async () => {
    const interrupt = new AbortController();
    const detached = await run(['machine', 'commission', 'node-1', '--grade', 'none'], {
      keys: '',
      interrupt: interrupt.signal,
      onOutput: (soFar) => {
        if (soFar.includes('commission.wait')) interrupt.abort(new Error('interrupted'));
      },
    });
    assert.equal(detached.code, 130);
    assert.match(detached.out, /ok {8}bmc\.probe: the BMC answers with cipher suite 17; power off\n/);
    assert.ok(detached.out.includes('\r\u001b[K  ... commission.wait'));
    const [active] = (await document(['operation', 'list', '--active', '--machine', 'node-1'])).operations;
    assert.ok(active);
    assert.match(detached.err, new RegExp(`csbm operation follow ${active.id} shows it`));
    assert.match(
      (await run(['operation', 'list'])).out,
      new RegExp(`^${active.id} +commission +node-1 +running`, 'm'),
    );
    assert.match((await run(['op', 'show', active.id])).out, /^ {2}running {3}commission\.wait/m);

    const following = run(['operation', 'follow', active.id, '--json']);
    const cancelled = await document(['operation', 'cancel', active.id, '--reason', 'enough']);
    assert.equal(cancelled.operation.id, active.id);
    const followed = await following;
    assert.equal(followed.code, 1);
    const end = JSON.parse(followed.out) as Body;
    assert.equal(end.operation.state, 'cancelled');
    assert.equal(end.error.code, 'operation.cancelled');
    assert.ok(end.steps.some((step) => step.direction === 'undo'));
    assert.match(
      (await run(['operation', 'cancel', active.id])).out,
      /^nothing to cancel: it is cancelled$/m,
    );

    const again = await document(['operation', 'retry', active.id]);
    assert.notEqual(again.operation.id, active.id);
    await document(['operation', 'cancel', again.operation.id]);
    await service.until(`/operations/${again.operation.id}`, (at) => at.operation.endedAt !== null);
  });

  it('machine start says what is wrong with an order before and after it is sent', async () => {
    const start = ['machine', 'start', 'node-1', '--id', 'c/i-2-7-VM', '--template', 'debian'];
    assert.equal((await run([...start, '--nic', 'nonsense'])).code, 2);
    const nic = ['--nic', '52:54:00:01:02:03@1201', '--nic', '52:54:00:01:02:04@vlan://1305'];
    const refused = await run([...start, ...nic, '--known', '--json']);
    assert.equal(refused.code, 1);
    assert.equal((JSON.parse(refused.out) as Body).error.code, 'claim.unknown-instance');
    assert.match((await run([...start, '--ssh-key', 'missing.pub'])).err, /ENOENT/);
  });

  it('rack check needs no service; upload and show do; faults are listed with lines', async () => {
    writeFileSync(join(files, 'rack.json'), rackConfig());
    writeFileSync(join(files, 'bad.json'), rackConfig().replace('52:54:00:aa:00:02', '52:54'));
    const offline = { cwd: files, env: { CSBM_URL: 'http://127.0.0.1:1' } };
    const checked = await csbm(['rack', 'check', 'rack.json'], offline);
    assert.deepEqual([checked.code, checked.err], [0, '']);
    assert.match(checked.out, /^right: 1 switches, 2 wires/);
    const piped = await csbm(['rack', 'check', '-', '--json'], { ...offline, stdin: rackConfig() });
    assert.equal((JSON.parse(piped.out) as { wires: number }).wires, 2);
    assert.equal((await csbm(['rack', 'check', 'absent.json'], offline)).code, 1);

    for (const verb of ['check', 'upload']) {
      const bad = await run(['rack', verb, 'bad.json', '--json']);
      assert.equal(bad.code, 1);
      const { error } = JSON.parse(bad.out) as Body;
      assert.equal(error.code, 'rack.invalid');
      assert.equal(error.problems.length, 1);
      assert.match(
        bad.err,
        new RegExp(`line ${error.problems[0]!.line}, column \\d+ racks\\[0\\]\\.hosts\\[1\\]`),
      );
    }
    assert.match((await run(['rack', 'upload', 'rack.json'])).out, /^in force: 1 switches, 2 wires/);
    const shown = await run(['rack', 'show']);
    assert.match(shown.out, /^tor-a +Force10 +ssh:\/\/127\.0\.0\.1:22 /m);
    assert.match(shown.out, /^52:54:00:aa:00:01 +tor-a +TenGigabitEthernet 1\/1 +node-1$/m);
    assert.match(
      (await run(['machine', 'ports', 'node-2'])).out,
      /^52:54:00:aa:00:02 +tor-a +TenGigabitEthernet 1\/2/m,
    );
  });

  it('image add streams a file, with progress on a terminal; list; rm', async () => {
    const content = randomBytes(3 * 1024 * 1024);
    content.fill(0, 0, 64);
    writeFileSync(join(files, 'disk.raw'), content);
    const args = ['image', 'add', 'disk.raw', '--name', 'debian-12', '--alias', 'debian', '--no-bond'];
    const added = await run(args, { keys: '' });
    assert.equal(added.code, 0, added.err);
    assert.match(added.out, /^debian-12: raw, 3\.0 MiB, unpacks to 3\.0 MiB, SHA-256 [0-9a-f]{64}\n$/);
    assert.match(added.err, /\[#{25}\] 100 % of 3\.0 MiB/);
    assert.match(
      (await run(['image', 'list'])).out,
      /^debian-12 +3\.0 MiB +3\.0 MiB +raw +no +nocloud .* debian$/m,
    );

    const taken = await run(args);
    assert.equal(taken.code, 1);
    assert.match(taken.err, /\[image\.exists\]/);
    writeFileSync(
      join(files, 'disk.qcow2'),
      Buffer.concat([Buffer.from('QFI\u00fb', 'latin1'), Buffer.alloc(32 << 20)]),
    );
    const refused = await run(['image', 'add', 'disk.qcow2', '--name', 'x', '--json']);
    assert.equal(refused.code, 1, refused.err);
    assert.equal((JSON.parse(refused.out) as Body).error.code, 'image.format');
    assert.equal((await run(['image', 'add', 'absent', '--name', 'x'])).code, 1);

    assert.equal((await run(['image', 'rm', 'debian-12'])).code, 0);
    assert.equal((await run(['image', 'rm', 'debian-12'])).code, 1);
    assert.deepEqual((await document(['image', 'list'])).images, []);
  });

  it('principal add prints the token alone; what it may do holds; revoke ends it', async () => {
    const added = await run(['principal', 'add', 'eyes', '--role', 'viewer']);
    assert.match(added.out, /^\S{43}\n$/);
    assert.match(added.err, /shown once/);
    const env = { CSBM_TOKEN: added.out.trim() };
    assert.equal((await run(['machine', 'list'], { env })).code, 0);
    const refused = await run(['machine', 'quarantine', 'node-1'], { env });
    assert.equal(refused.code, 1);
    assert.match(refused.err, /does not include machine\.withhold \[request\.forbidden\]/);
    assert.match((await run(['principal', 'list'])).out, /^eyes +viewer +\* /m);
    assert.equal((await run(['principal', 'revoke', 'eyes'])).code, 0);
    assert.match((await run(['machine', 'list'], { env })).err, /\[request\.unauthenticated\]/);
  });

  it('status, alarms and metrics', async () => {
    assert.match((await run(['status'])).out, /^service +http:\/\/127\.0\.0\.1:\d+, version \d/);
    assert.match(
      (await run(['alarms'])).out,
      /^AT +CODE +MACHINE +TEXT\n\S+ \S+ +machine\.quarantined .* fan/,
    );
    assert.match((await run(['alarms', '--json'])).out, /^\{\n {2}"alarms": \[/);
    assert.match((await run(['metrics'])).out, /^# HELP /m);
    const { metrics } = JSON.parse((await run(['metrics', '--json'])).out) as { metrics: string };
    assert.match(metrics, /^csbm_/m);
  });

  it('machine rm forgets', async () => {
    assert.equal((await run(['machine', 'rm', 'node-4'])).code, 0);
    assert.equal((await run(['machine', 'rm', 'node-4'])).code, 1);
  });
});
