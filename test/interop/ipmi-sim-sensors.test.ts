import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { PowerDriver } from '../../plugin-api/index.ts';
import { encodeSensorRecord } from '../../src/wire/rmcp/sdr-record.ts';
import { encodeSelRecord } from '../../src/wire/rmcp/sel-record.ts';
import { sampleLog, sampleSensors } from '../drivers/power/event-log-samples.ts';
import { newDriver, targetAt } from '../drivers/power/ipmi-fixture.ts';
import { requirePeer } from '../support/peers.ts';
import { startSimulator, type Simulator } from './ipmi-sim/simulator.ts';

const hex = (bytes: Buffer): string => [...bytes].map((byte) => `0x${byte.toString(16)}`).join(' ');

/** Those that have a value: ipmi_sim's own discrete sensors start without states. */
const analog = sampleSensors.filter(({ record }) => record.factors !== null && record.ownerAddress === 0x20);

const noBits = '0'.repeat(15);

describe("interop: event log and sensors of OpenIPMI's ipmi_sim, with ipmitool's opinion", function () {
  this.timeout(60_000);
  let simulator: Simulator | undefined;
  let driver: PowerDriver | undefined;

  const ipmitool = async (...args: string[]): Promise<string> => {
    const where = [
      '-I',
      'lanplus',
      '-C',
      '3',
      '-H',
      '127.0.0.1',
      '-p',
      String(simulator!.port),
      '-U',
      'admin',
      '-E',
    ];
    const env = { ...process.env, IPMI_PASSWORD: 'password', TZ: 'UTC' };
    return (await promisify(execFile)('ipmitool', [...where, ...args], { env })).stdout;
  };

  before(async function () {
    requirePeer(this, 'ipmi_sim');
    requirePeer(this, 'ipmitool');
    const commands = [
      ...analog.flatMap(({ record, reading }, i) => [
        `sensor_add 0x20 0 ${record.number} ${record.sensorType} ${record.readingType}`,
        `sensor_set_event_support 0x20 0 ${record.number} enable scanning per-state ${noBits} ${noBits} ${noBits} ${noBits}`,
        `sensor_set_value 0x20 0 ${record.number} ${reading.raw} 0`,
        `main_sdr_add 0x20 ${hex(encodeSensorRecord(i + 1, record))}`,
      ]),
      ...sampleLog.map((record) => {
        const bytes = encodeSelRecord(record);
        return `sel_add 0x20 ${hex(bytes.subarray(2, 3))} ${hex(bytes.subarray(3))}`;
      }),
    ];
    simulator = await startSimulator(commands);
    driver = newDriver({ answerTimeouts: [1_000, 2_000, 3_000, 3_000] });
    await driver.open(targetAt(simulator.port)).state();
  });

  after(async () => {
    await driver?.close();
    await simulator?.stop();
  });

  it('reads the same events as ipmitool', async () => {
    const events = await driver!.open(targetAt(simulator!.port)).eventLog!();
    const theirs = (await ipmitool('sel', 'list')).trim().split('\n');
    assert.equal(theirs.length, events.length);
    assert.deepEqual(
      events.map(({ sensorType, what, asserted }) => [sensorType, what, asserted]),
      [
        ['Fan', 'lower critical, going low', true],
        ['Power Supply', 'input lost (AC/DC)', false],
        ['type C1h', 'event 04h of type 70h', true],
        ['OEM record DFh', 'a1b2c3d4e5f6a7b8c9', true],
      ],
    );
    assert.match(theirs[0]!, /Lower Critical going low/);
    assert.match(theirs[1]!, /Power Supply AC lost \| Deasserted/);
    events.forEach(({ id }, i) => assert.equal(parseInt(theirs[i]!, 16), id));
  });

  it('reads the same sensors and values as ipmitool', async () => {
    const sensors = await driver!.open(targetAt(simulator!.port)).sensors!();
    const theirs = (await ipmitool('-c', 'sdr', 'list'))
      .trim()
      .split('\n')
      .map((line) => line.split(','));
    assert.deepEqual(
      sensors.map(({ name }) => name),
      theirs.map(([name]) => name),
    );
    for (const [i, sensor] of sensors.entries()) {
      const [, value] = theirs[i]!;
      assert.ok(
        Math.abs(Number(value) - (sensor.value ?? NaN)) < 0.05,
        `${sensor.name}: ${value}, ${sensor.value}`,
      );
    }
  });

  it('erases the log', async () => {
    const bmc = driver!.open(targetAt(simulator!.port));
    await bmc.clearEventLog!();
    assert.match(await ipmitool('sel', 'info'), /Entries\s+: 0/);
    assert.deepEqual(await bmc.eventLog!(), []);
  });
});
