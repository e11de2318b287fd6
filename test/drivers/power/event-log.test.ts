import assert from 'node:assert/strict';
import { Secret } from '../../../plugin-api/index.ts';
import { at, sampleLog, sampleSensors } from './event-log-samples.ts';
import { failure, onFloor } from './ipmi-fixture.ts';

describe('IPMI driver: event log and sensors', () => {
  it('reads the event log in words, with what it does not know in hex', () =>
    onFloor({ traits: { eventLog: sampleLog } }, async ({ driver, target }) => {
      const events = await driver.open(target()).eventLog!();
      assert.deepEqual(
        events.map(({ id, at: time, sensorType, sensor, what, asserted }) => [
          id,
          time,
          sensorType,
          sensor,
          what,
          asserted,
        ]),
        [
          [1, at * 1_000, 'Fan', 0x30, 'lower critical, going low', true],
          [2, (at + 60) * 1_000, 'Power Supply', 0x50, 'input lost (AC/DC)', false],
          [7, null, 'type C1h', 0x51, 'event 04h of type 70h', true],
          [9, (at + 90) * 1_000, 'OEM record DFh', null, 'a1b2c3d4e5f6a7b8c9', true],
        ],
      );
      assert.ok(events.every(({ raw }) => /^[0-9a-f]{32}$/.test(raw)));
    }));

  it('erases the event log, for those who may', () =>
    onFloor({ traits: { eventLog: sampleLog } }, async ({ driver, target }) => {
      const login = { username: 'ro', password: new Secret('ropass'), privilege: 'user' } as const;
      await failure('power.privilege', driver.open(target(login)).clearEventLog!());
      const bmc = driver.open(target());
      assert.equal((await bmc.eventLog!()).length, 4);
      await bmc.clearEventLog!();
      assert.deepEqual(await bmc.eventLog!(), []);
    }));

  it('reads the sensors: values by their factors, crossed thresholds, states', () =>
    onFloor({ traits: { sensors: sampleSensors } }, async ({ driver, target }) => {
      assert.deepEqual(await driver.open(target()).sensors!(), [
        { number: 1, name: 'CPU1 Temp', type: 'Temperature', unit: '°C', value: -10, states: [] },
        {
          number: 2,
          name: '12V',
          type: 'Voltage',
          unit: 'V',
          value: 12.033,
          states: ['above upper non-critical'],
        },
        { number: 3, name: 'FAN1', type: 'Fan', unit: 'RPM', value: null, states: [] },
        {
          number: 4,
          name: 'PS1 Status',
          type: 'Power Supply',
          unit: null,
          value: null,
          states: ['present', 'input lost (AC/DC)'],
        },
      ]);
    }));

  it('has nothing to tell of a BMC without either', () =>
    onFloor({}, async ({ driver, target }) => {
      assert.deepEqual(await driver.open(target()).eventLog!(), []);
      assert.deepEqual(await driver.open(target()).sensors!(), []);
    }));
});
