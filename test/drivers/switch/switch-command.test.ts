import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LabSwitch } from '../../../lab/switch/index.ts';
import { switchCommand } from '../../../src/cli/direct/switch.ts';
import { te, uplink } from './lab-fixture.ts';

describe('csbm switch', () => {
  const folder = mkdtempSync(join(tmpdir(), 'csbm-switch-'));
  const rackFile = join(folder, 'rack.json');
  let lab: LabSwitch;

  beforeEach(async () => {
    lab = await LabSwitch.start({
      name: 'tor-a',
      ports: ['Te 1/1-1/4'],
      uplinks: ['Te 1/48'],
      username: 'admin',
      password: 'login-secret',
    });
    const l2Switch = {
      ip: lab.host,
      tcpPort: lab.port,
      name: 'tor-a',
      username: 'admin',
      password: 'login-secret',
      type: 'Force10',
      uplinks: ['Te 1/48'],
    };
    const hosts = [
      { mac: '02:00:00:00:00:01', port: '1/1' },
      { mac: '02:00:00:00:00:02', port: '1/2' },
    ];
    writeFileSync(rackFile, JSON.stringify({ racks: [{ l2Switch, hosts }] }));
  });
  afterEach(() => lab.stop());
  after(() => rmSync(folder, { recursive: true }));

  /** Runs `csbm switch ...` in this process. */
  async function csbm(...args: string[]): Promise<{ out: string; error: string; failed: boolean }> {
    const command = switchCommand();
    const result = { out: '', error: '', failed: false };
    for (const each of [command, ...command.commands]) {
      each.exitOverride();
      each.configureOutput({
        writeOut: (text) => void (result.out += text),
        writeErr: (text) => void (result.error += text),
      });
    }
    try {
      await command.parseAsync(args, { from: 'user' });
    } catch {
      result.failed = true;
    }
    ok(!`${result.out}${result.error}`.includes('login-secret'));
    return result;
  }

  it('reads the ports of the rack config and its uplinks', async () => {
    const { out } = await csbm('read', '--rack', rackFile);
    match(out, /^tor-a: default VLAN 1, host key SHA256:\S+, not pinned/m);
    match(out, /TenGigabitEthernet 1\/2: native default, tagged none, up$/m);
    match(out, /TenGigabitEthernet 1\/48 \(uplink\): /);
    ok(!out.includes('1/3'));
    const json = JSON.parse((await csbm('read', '--rack', rackFile, '--port', 'te1/77', '--json')).out) as {
      ports: unknown;
      defaultVlan: unknown;
    };
    deepEqual(json.ports, { 'TenGigabitEthernet 1/77': null });
    equal(json.defaultVlan, 1);
  });

  it('plans without changing anything, and then sets exactly that', async () => {
    const wish = [
      '--rack',
      rackFile,
      '--port',
      'te1/1',
      '--native',
      '100',
      '--tagged',
      '300,200',
      '--admin',
      'up',
    ];
    const before = lab.model.dump();
    const planned = await csbm('plan', ...wish, '--json');
    deepEqual(lab.model.dump(), before);
    const { lines } = JSON.parse(planned.out) as { lines: string[] };
    ok(lines.includes('untagged TenGigabitEthernet 1/1'));

    const { out } = await csbm('set', ...wish);
    match(out, /current: native default, tagged none, up\n.*target: {2}native 100, tagged 200,300, up/);
    match(out, /now: {5}native 100, tagged 200,300, up \(read back, saved\)/);
    ok(lines.every((line) => out.includes(`    ${line}\n`)));
    deepEqual(lab.model.effective(te(1)), { native: 100, tagged: [200, 300], up: true });
    deepEqual(lab.model.effective(uplink).tagged, [100, 200, 300]);
    equal(lab.model.saved, true);
    match((await csbm('set', ...wish)).out, /nothing to do/);

    await csbm('set', '--rack', rackFile, '--port', '1/1', '--tagged', '');
    deepEqual(lab.model.effective(te(1)), { native: 100, tagged: [], up: true });
    const cleared = await csbm('set', '--rack', rackFile, '--port', '1/1', '--native', 'none');
    equal(cleared.error, '');
    equal(lab.model.effective(te(1)).up, false);
  });

  it('leaves uplinks alone where told to', async () => {
    await csbm('set', '--rack', rackFile, '--port', '1/1', '--native', '100', '--no-uplinks');
    equal(lab.model.effective(te(1)).native, 100);
    deepEqual(lab.model.effective(uplink).tagged, []);
  });

  it('refuses ports that are not in the rack config, uplinks, other switches and nonsense', async () => {
    const before = lab.model.dump();
    const cases: readonly [string[], RegExp][] = [
      [['--port', 'te1/3', '--native', '100'], /not in the rack config.*\[switch\.port-guarded\]/],
      [['--port', 'te1/48', '--native', '100'], /uplink.*\[switch\.port-guarded\]/],
      [['--port', 'te1/48', '--native', '100', '--no-uplinks'], /uplink.*\[switch\.port-guarded\]/],
      [['--port', 'te1/1', '--switch', 'tor-b'], /tor-b/],
      [['--port', 'te1/1', '--native', '4095'], /4095/],
      [['--port', 'te1/1', '--admin', 'sideways'], /up/],
    ];
    for (const [args, expected] of cases) {
      const { error, failed } = await csbm('set', '--rack', rackFile, ...args);
      equal(failed, true, args.join(' '));
      match(error, expected);
    }
    deepEqual(lab.model.dump(), before);
    const missing = await csbm('read', '--rack', join(folder, 'absent.json'));
    match(missing.error, /absent\.json/);
  });

  it('says so when the port did not become what was asked for', async () => {
    lab.behaviours.on(/^show vlan/, { do: 'edit', when: 'before', edit: (model) => model.removeUntagged(100, te(1), 'somebody') }, { nth: 2 }); // prettier-ignore
    const { error, failed } = await csbm('set', '--rack', rackFile, '--port', '1/1', '--native', '100');
    equal(failed, true);
    match(error, /is "native default.*\[switch\.not-verified\]/);
  });
});
