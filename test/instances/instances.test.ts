import assert from 'node:assert/strict';
import type { LabAnswer } from '../../lab/management-server/agent-connection.ts';
import {
  destroyCommand,
  startCommand,
  type LabCommand,
  type LabInstance,
} from '../../lab/management-server/commands.ts';
import { requireStore } from '../support/temp-database.ts';
import { until } from '../support/until.ts';
import { InstancesStage, leaseTtl } from './instances-stage.ts';

const names = ['server-1', 'server-2', 'server-3', 'server-4'] as const;
/** Twice the lease, as 30 s are at the default settings; and what processes on two busy cores take, which does not get faster. */
const takeoverWithin = 2 * leaseTtl + 6_000;

describe('several instances on one MariaDB', function () {
  this.timeout(240_000);
  let stage: InstancesStage | undefined;
  let lab: InstancesStage;
  let next = 100;
  /** What was seen of the links while every instance was a living one. */
  const links = { most: 0, watching: true };
  let watch: NodeJS.Timeout;

  before(async function () {
    requireStore(this, 'mariadb');
    stage = lab = await InstancesStage.open({ machines: names.length });
    watch = setInterval(() => {
      if (links.watching) links.most = Math.max(links.most, lab.stage.cloud.connections);
    }, 5);
  });

  after(async () => {
    clearInterval(watch);
    await stage?.close();
  });

  afterEach(function () {
    if (stage) assert.deepEqual(stage.stage.floor.oracle.violations, []);
  });

  const instance = (): LabInstance => lab.stage.instance(`i-2-${(next += 1)}-VM`);

  /** Of each machine at the management server. */
  const hosts = new Map<string, bigint>();

  const hostUp = (id: bigint): boolean =>
    lab.stage.cloud.hosts().some(({ hostId, state }) => hostId === id && state === 'Up');

  /** As CloudStack does: a command whose link was cut is repeated once the host is back. */
  async function insist(machine: string, command: LabCommand): Promise<LabAnswer> {
    const host = hosts.get(machine)!;
    for (;;) {
      await until(() => hostUp(host), `${machine} to be Up`);
      const answers = await lab.stage.cloud.send(host, [command], { timeout: 60_000 }).catch(() => null);
      if (answers) return answers[0]!;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async function allLinked(): Promise<void> {
    await until(
      () => lab.stage.cloud.hosts().filter(({ state }) => state === 'Up').length === names.length,
      'every machine to be a host that is Up',
    );
    await until(() => lab.stage.cloud.connections === names.length, 'exactly one link for each machine');
  }

  async function destroyed(machine: string, of: LabInstance): Promise<void> {
    const answer = await insist(machine, destroyCommand(of));
    assert.equal(answer.result, true, answer.details ?? '');
    await until(() => readyAgain(machine), `${machine} to be ready`);
  }

  async function readyAgain(machine: string): Promise<boolean> {
    const { machine: shown } = await lab.stage.admin.call('GET', `/machines/${machine}`);
    return (shown as { readonly state: string }).state === 'ready';
  }

  it('start together on an empty database, and share the machines and their links', async () => {
    await Promise.all(['a', 'b', 'c'].map((name) => lab.start(name)));
    await lab.furnish();
    await allLinked();
    for (const name of names) hosts.set(name, await lab.stage.host(name));
    await until(async () => [...(await lab.holders()).values()].every((holder) => holder !== null));
    const holders = await lab.holders();
    assert.equal(holders.size, names.length);
    const rows = await lab.ask('SELECT state, COUNT(*) AS n FROM instance GROUP BY state');
    assert.deepEqual(rows, [{ state: 'alive', n: 3 }]);
  });

  it('work on the same switches at once: one session on each, and every port is right', async () => {
    const mine = names.map((name) => [name, instance()] as const);
    const answers = await Promise.all(mine.map(([name, one]) => insist(name, startCommand(one))));
    for (const answer of answers) assert.equal(answer.result, true, answer.details ?? '');
    for (const row of lab.stage.floor.table())
      for (const port of row.ports) assert.deepEqual([port.native, port.up], [200, true], port.port);
    for (const { sessions } of lab.stage.floor.switches) assert.equal(sessions.max, 1);
    await Promise.all(mine.map(([name, one]) => destroyed(name, one)));
  });

  it('one is killed in the middle of a Start: another finishes it', async () => {
    const machine = names[0];
    const one = instance();
    const holder = await lab.holderOf(machine);
    const host = hosts.get(machine)!;
    const floor = lab.stage.floor.find(machine).machine;
    const installing = new Promise<void>((resolve) => floor.events.on('installing', () => resolve()));
    const answer = insist(machine, startCommand(one));
    await installing;
    const began = performance.now();
    await holder.process.kill();
    await until(() => !hostUp(host) || lab.stage.cloud.connections < names.length, 'the link to be lost');
    await allLinked();
    const took = performance.now() - began;
    assert.ok(took < takeoverWithin, `taken over after ${took} ms, not within ${takeoverWithin}`);
    const { result, details } = await answer;
    assert.equal(result, true, details ?? '');
    assert.notEqual((await lab.holderOf(machine)).name, holder.name);
    await destroyed(machine, one);
    await lab.start(holder.name);
    await allLinked();
  });

  it('one is frozen past its lease in the middle of a batch: what it does then changes nothing, and it ends', async () => {
    const machine = names[1];
    const one = instance();
    const [tor] = lab.stage.floor.switches;
    let frozen = '';
    // Whoever has the switch's lease: in the middle of its lines.
    const rule = tor!.behaviours.on(/^interface /, {
      do: 'edit',
      when: 'after',
      edit: () => {
        frozen = lab.freezeHolderOf(tor!.name);
      },
    });
    links.watching = false;
    const answer = insist(machine, startCommand(one));
    await until(() => frozen !== '', 'somebody to work on the switch');
    rule.cancel();
    const late = lab.instance(frozen);
    const { session } = tor!.transcript.entries.at(-1)!;
    const { result, details } = await answer;
    assert.equal(result, true, details ?? '');
    assert.equal(late.process.pid > 0 && lab.instances.includes(late), true, 'it has not ended yet');
    const typed = tor!.transcript.lines(session).length;
    const before = await lab.fingerprint();
    late.process.signal('SIGCONT');
    assert.equal(await late.process.exited, 1);
    assert.deepEqual(await lab.fingerprint(), before, 'it changed the database');
    assert.deepEqual(tor!.transcript.lines(session).slice(typed), [], 'it went on at the switch');
    assert.match(lab.textOf(frozen), /instance\.gone/);
    for (const port of lab.stage.floor.table()[1]!.ports)
      assert.deepEqual([port.native, port.up], [200, true], port.port);
    await lab.start(frozen);
    await allLinked();
    links.watching = true;
    await destroyed(machine, one);
  });

  it('are restarted one after the other, with Starts in flight: none fails', async () => {
    const mine = names.map((name) => [name, instance()] as const);
    const answers = mine.map(([name, one]) => insist(name, startCommand(one)));
    for (const name of ['a', 'b', 'c']) {
      await lab.instance(name).process.stop();
      await lab.start(name);
    }
    for (const answer of await Promise.all(answers)) assert.equal(answer.result, true, answer.details ?? '');
    await allLinked();
    const rows = await lab.ask("SELECT COUNT(*) AS n FROM instance WHERE reason = 'stopped'");
    assert.deepEqual(rows, [{ n: 3 }]);
    await Promise.all(mine.map(([name, one]) => destroyed(name, one)));
  });

  it('never had two links for one machine', () => {
    assert.ok(links.most <= names.length, `${links.most} links of ${names.length} machines`);
  });
});
