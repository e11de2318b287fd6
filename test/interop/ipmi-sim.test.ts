import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Secret, seconds, type PowerDriver } from '../../plugin-api/index.ts';
import { failure, newDriver, targetAt, until } from '../drivers/power/ipmi-fixture.ts';
import { requirePeer } from '../support/peers.ts';
import { freeUdpPort } from '../support/free-port.ts';

const folder = fileURLToPath(new URL('./ipmi-sim/', import.meta.url));

describe("interop: our IPMI driver and OpenIPMI's ipmi_sim", function () {
  this.timeout(60_000);
  let dir = '';
  let port = 0;
  let simulator: ChildProcess | undefined;
  let driver: PowerDriver;

  before(async function () {
    requirePeer(this, 'ipmi_sim');
    dir = mkdtempSync(join(tmpdir(), 'csbm-ipmi-sim-'));
    port = await freeUdpPort();
    mkdirSync(join(dir, 'state'));
    const config = readFileSync(join(folder, 'lan.conf'), 'utf8')
      .replace('@PORT@', String(port))
      .replace('@CHASSIS@', join(folder, 'chassis.sh'))
      .replace('@HOST@', join(dir, 'host'));
    writeFileSync(join(dir, 'lan.conf'), config);
    const args = ['-c', join(dir, 'lan.conf'), '-f', join(folder, 'bmc.emu'), '-s', join(dir, 'state'), '-n'];
    simulator = spawn('ipmi_sim', args, { stdio: 'ignore' });
    // The driver's own retries wait until it listens; each of its readings starts a shell.
    driver = newDriver({
      answerTimeouts: [1_000, 2_000, 3_000, 3_000],
      onceTimeout: 5_000,
      repeatAfter: 5_000,
    });
    await driver.open(targetAt(port)).state();
  });

  after(async () => {
    if (!simulator) return;
    await driver.close();
    const ended = new Promise((resolve) => simulator!.once('exit', resolve));
    simulator.kill();
    await ended;
    rmSync(dir, { recursive: true });
  });

  const told = (): string[] => {
    const file = join(dir, 'host.log');
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  };

  it('refuses suite 17, and agrees on 3', async () => {
    const identity = await driver.open(targetAt(port)).identity();
    assert.deepEqual(identity, { manufacturer: 0x157, product: 0x1234, firmware: '2.11', suite: 3 });
  });

  it('is refused where 17 is the least', async () => {
    await failure('power.suite', driver.open(targetAt(port, { minSuite: 17 })).state());
  });

  it('switches on and off', async () => {
    const bmc = driver.open(targetAt(port));
    assert.equal(await bmc.state(), 'off');
    assert.ok((await bmc.turn('on', seconds(20))).verified);
    assert.ok(existsSync(join(dir, 'host.on')));
    assert.equal(await bmc.state(), 'on');
    assert.ok((await bmc.turn('off', seconds(20))).verified);
    assert.ok(!existsSync(join(dir, 'host.on')));
    assert.deepEqual(told().slice(-2), ['power 1', 'power 0']);
  });

  it('sets the boot device, which it takes without the valid bit and so cannot show', async () => {
    const bmc = driver.open(targetAt(port));
    const once = await bmc.setBootDevice({ device: 'pxe', persistent: false, firmware: 'legacy' });
    assert.equal(readFileSync(join(dir, 'host.boot'), 'utf8').trim(), 'pxe');
    assert.equal(once.verified, false);
    assert.equal(await bmc.bootDevice(), null);
    const disk = await bmc.setBootDevice({ device: 'disk', persistent: true, firmware: 'efi' });
    assert.equal(readFileSync(join(dir, 'host.boot'), 'utf8').trim(), 'default');
    assert.equal(disk.verified, false);
  });

  it('cycles once', async () => {
    const bmc = driver.open(targetAt(port));
    await bmc.turn('on', seconds(20));
    const before = told().length;
    await bmc.cycle();
    await until(() => told().length === before + 2);
    assert.deepEqual(told().slice(before), ['power 0', 'power 1']);
    await bmc.turn('off', seconds(20));
  });

  it('refuses a wrong password and an unknown user, as different things', async () => {
    const wrong = driver.open(targetAt(port, { password: new Secret('passwort') }));
    await failure('power.auth', wrong.state());
    const nobody = await failure('power.auth', driver.open(targetAt(port, { username: 'nobody' })).state());
    assert.match(nobody.message, /unknown user name/);
  });

  it('refuses power to a user who may only look', async () => {
    const reader = { username: 'ro', password: new Secret('ropass'), privilege: 'user' } as const;
    const bmc = driver.open(targetAt(port, reader));
    assert.equal(await bmc.state(), 'off');
    await failure('power.privilege', bmc.turn('on', seconds(5)));
  });

  it('never runs out of sessions, however often they are opened and given up', async () => {
    for (let i = 0; i < 70; i += 1) {
      const bmc = driver.open(targetAt(port, i % 2 === 0 ? {} : { password: new Secret('passwort') }));
      if (i % 2 === 0) await bmc.identity();
      else await failure('power.auth', bmc.state());
      await bmc.close();
    }
  });
});
