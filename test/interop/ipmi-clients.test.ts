import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { BmcTraits } from '../../lab/bmc/bmc-options.ts';
import { LabBmc } from '../../lab/bmc/lab-bmc.ts';
import { LabSerial } from '../../lab/bmc/lab-sol.ts';
import { StandaloneHost } from '../../lab/bmc/standalone-host.ts';
import { milliseconds, type Duration } from '../../plugin-api/index.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { sampleLog, sampleSensors } from '../drivers/power/event-log-samples.ts';
import { requirePeer } from '../support/peers.ts';
import { until as eventually } from '../support/until.ts';

interface Result {
  readonly code: number;
  readonly text: string;
}

function run(program: string, args: readonly string[], env: Record<string, string> = {}): Promise<Result> {
  return new Promise((resolve) => {
    const path = `${process.env['PATH'] ?? ''}:/usr/sbin`;
    execFile(program, args, { env: { ...process.env, ...env, PATH: path } }, (error, out, err) => {
      resolve({ code: error ? Number(error.code ?? -1) : 0, text: (out + err).trim() });
    });
  });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const clock = new SystemClock();

async function onBench(
  time: Duration,
  test: (bmc: LabBmc, host: StandaloneHost, port: number) => Promise<void>,
  traits: Partial<BmcTraits> = {},
): Promise<void> {
  const host = new StandaloneHost({ clock, switchTime: time, cycleTime: time, shutdownTime: time });
  const bmc = new LabBmc({ host, clock, traits });
  try {
    await test(bmc, host, (await bmc.listen()).port);
  } finally {
    await bmc.close();
  }
}

describe('interop: the lab BMC as ipmitool sees it', function () {
  this.timeout(120_000);
  before(function () {
    requirePeer(this, 'ipmitool');
  });

  for (const suite of [3, 17]) {
    const ipmitool = (port: number, ...command: string[]): Promise<Result> =>
      run(
        'ipmitool',
        [
          '-I',
          'lanplus',
          '-H',
          '127.0.0.1',
          '-p',
          String(port),
          '-U',
          'admin',
          '-E',
          '-C',
          String(suite),
        ].concat(command),
        { IPMI_PASSWORD: 'password' },
      );

    it(`switches, cycles and shuts down in suite ${suite}`, () =>
      onBench(milliseconds(20), async (bmc, host, port) => {
        assert.deepEqual(await ipmitool(port, 'power', 'status'), { code: 0, text: 'Chassis Power is off' });
        assert.equal((await ipmitool(port, 'power', 'on')).code, 0);
        await until(() => host.power() === 'on');
        assert.equal((await ipmitool(port, 'power', 'status')).text, 'Chassis Power is on');
        assert.equal((await ipmitool(port, 'power', 'cycle')).code, 0);
        await until(() => host.boots.length === 2);
        assert.equal((await ipmitool(port, 'power', 'soft')).code, 0);
        await until(() => host.power() === 'off');
        const offCycle = await ipmitool(port, 'power', 'cycle');
        assert.equal(offCycle.code, 1);
        assert.match(offCycle.text, /not supported in present state/i);
        assert.equal((await ipmitool(port, 'power', 'on')).code, 0);
        await until(() => host.power() === 'on');
        assert.equal((await ipmitool(port, 'power', 'off')).code, 0);
        await until(() => host.power() === 'off');
        assert.deepEqual(
          bmc.log.map((entry) => entry.action),
          ['on', 'cycle', 'soft', 'cycle', 'on', 'off'],
        );
        assert.equal(bmc.sessionsUsed, 0);
        assert.equal(bmc.counters['malformed'], undefined);
      }));

    it(`sets and shows the boot device in suite ${suite}`, () =>
      onBench(milliseconds(0), async (bmc, host, port) => {
        for (const [options, bytes, shown] of [
          [['pxe'], '8004000000', /Force PXE/],
          [['disk'], '8008000000', /Force Boot from default Hard-Drive/],
          [['pxe', 'options=efiboot'], 'a004000000', /BIOS EFI boot/],
          [['pxe', 'options=persistent'], 'c004000000', /all future boots/],
          [['disk', 'options=persistent,efiboot'], 'e008000000', /all future boots[\s\S]*BIOS EFI boot/],
        ] as const) {
          assert.equal((await ipmitool(port, 'chassis', 'bootdev', ...options)).code, 0);
          assert.equal(bmc.bootFlags.toString('hex'), bytes);
          assert.match((await ipmitool(port, 'chassis', 'bootparam', 'get', '5')).text, shown);
        }
        await ipmitool(port, 'power', 'on');
        await until(() => host.boots.length === 1);
        assert.deepEqual(host.boots, [{ device: 'disk', efi: true }]);
      }));

    it(`refuses a wrong password, an unknown user and too low a level in suite ${suite}`, () =>
      onBench(milliseconds(0), async (bmc, _host, port) => {
        const base = ['-I', 'lanplus', '-H', '127.0.0.1', '-p', String(port), '-C', String(suite)];
        const as = (user: string, password: string, ...more: string[]): Promise<Result> =>
          run('ipmitool', [...base, '-U', user, '-E', ...more], { IPMI_PASSWORD: password });
        assert.equal((await as('admin', 'wrong', 'power', 'status')).code, 1);
        assert.equal((await as('nobody', 'password', 'power', 'status')).code, 1);
        assert.equal((await as('ro', 'ropass', '-L', 'USER', 'power', 'status')).code, 0);
        assert.equal((await as('ro', 'ropass', '-L', 'USER', 'power', 'on')).code, 1);
        assert.equal((await as('ro', 'ropass', '-L', 'OPERATOR', 'power', 'on')).code, 1);
        assert.equal((await as('oper', 'operpass', '-L', 'OPERATOR', 'power', 'on')).code, 0);
        assert.equal(bmc.log.length, 1);
      }));
  }

  it('shows itself, finds its suites and needs its Kg', () =>
    onBench(milliseconds(0), async (bmc, _host, port) => {
      const base = ['-I', 'lanplus', '-H', '127.0.0.1', '-p', String(port), '-U', 'admin', '-E'];
      const env = { IPMI_PASSWORD: 'password' };
      const info = await run('ipmitool', [...base, 'mc', 'info'], env);
      assert.match(info.text, /Firmware Revision\s+: 2\.17[\s\S]*Manufacturer ID\s+: 343/);
      assert.ok(bmc.counters['command 6.84']! > 0);
      bmc.remake({ kg: 'secret-kg' });
      assert.equal((await run('ipmitool', [...base, 'power', 'status'], env)).code, 1);
      assert.equal((await run('ipmitool', [...base, '-k', 'secret-kg', 'power', 'status'], env)).code, 0);
    }));

  it('lists event log and sensors, and erases the log', () =>
    onBench(
      milliseconds(0),
      async (bmc, _host, port) => {
        const base = ['-I', 'lanplus', '-H', '127.0.0.1', '-p', String(port), '-U', 'admin', '-E'];
        const ipmitool = (...args: string[]): Promise<Result> =>
          run('ipmitool', [...base, ...args], { IPMI_PASSWORD: 'password', TZ: 'UTC' });
        const log = (await ipmitool('sel', 'list')).text;
        assert.match(log, /1 \| 05\/01\/26[^\n]* \| Fan [^\n]*Lower Critical going low[^\n]*Asserted/);
        assert.match(log, /2 \| [^\n]*Power Supply [^\n]*Power Supply AC lost \| Deasserted/);
        assert.match(log, /9 \| [^\n]*OEM record df/);
        const sensors = (await ipmitool('sdr', 'list')).text;
        assert.match(sensors, /CPU1 Temp\s+\| -10 degrees C\s/);
        assert.match(sensors, /12V\s+\| 12\.03 Volts\s/);
        assert.match(sensors, /FAN1\s+\| disabled\s/);
        assert.equal((await ipmitool('sel', 'clear')).code, 0);
        assert.match((await ipmitool('sel', 'list')).text, /no entries/i);
        assert.equal(bmc.counters['malformed'], undefined);
      },
      { eventLog: sampleLog, sensors: sampleSensors },
    ));

  it('has the serial console', async function () {
    requirePeer(this, 'script');
    const serial = new LabSerial();
    const bmc = new LabBmc({ host: new StandaloneHost({ clock }), clock, serial });
    const { port } = await bmc.listen();
    // ipmitool wants a terminal, which script gives it.
    const command = `ipmitool -I lanplus -C 17 -H 127.0.0.1 -p ${port} -U admin -E sol activate`;
    const env = { ...process.env, IPMI_PASSWORD: 'password' };
    const client = spawn('script', ['-qec', command, '/dev/null'], {
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let seen = '';
    client.stdout.on('data', (bytes: Buffer) => (seen += bytes.toString()));
    const ended = once(client, 'exit');
    try {
      await eventually(() => seen.includes('SOL Session operational'));
      const printed = 'The quick brown fox jumps over the lazy dog. '.repeat(8);
      serial.print(printed);
      await eventually(() => seen.includes(printed));
      client.stdin.write('root\r');
      await eventually(() => serial.typed === 'root\r');
      client.stdin.write('~B');
      await eventually(() => serial.breaks === 1);
      client.stdin.write('\r~.');
      await ended;
      assert.equal(bmc.counters['malformed'], undefined);
      assert.equal(bmc.sessionsUsed, 0);
    } finally {
      client.kill();
      await bmc.close();
    }
  });
});

describe("interop: the lab BMC as FreeIPMI's ipmipower sees it", function () {
  this.timeout(120_000);
  before(function () {
    requirePeer(this, 'ipmipower');
  });

  for (const suite of [3, 17])
    it(`shows, switches and waits in suite ${suite}`, () =>
      onBench(milliseconds(20), async (bmc, host, port) => {
        const ipmipower = (password: string, ...command: string[]): Promise<Result> => {
          const where = ['-D', 'LAN_2_0', '-h', `127.0.0.1:${port}`, '-I', String(suite)];
          return run('ipmipower', [...where, '-u', 'admin', '-p', password, ...command]);
        };
        assert.deepEqual(await ipmipower('password', '--stat'), { code: 0, text: '127.0.0.1: off' });
        await ipmipower('password', '--on', '--wait-until-on');
        assert.equal(host.power(), 'on');
        await ipmipower('password', '--cycle');
        await until(() => host.boots.length === 2);
        await ipmipower('password', '--soft');
        await until(() => host.power() === 'off');
        assert.match((await ipmipower('wrong', '--stat')).text, /password invalid/);
        assert.deepEqual(
          bmc.log.map((entry) => entry.action),
          ['on', 'cycle', 'soft'],
        );
        assert.equal(bmc.counters['malformed'], undefined);
      }));
});
