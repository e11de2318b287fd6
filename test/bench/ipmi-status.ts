import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Secret, type Bmc } from '../../plugin-api/index.ts';
import { createIpmiDriver } from '../../src/drivers/power/ipmi/ipmi-driver.ts';
import { Semaphore } from '../../src/kernel/concurrency/semaphore.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { BenchSkipped, median, type Bench, type Figure } from './bench.ts';
import { fleetAddress, fleetRange } from './fleet-address.ts';
import { startFleet } from './ipmi-fleet.ts';

const count = 1_000;
const atOnce = 128;
const rounds = 9;

/** CPU per power status of a BMC: ours in a running process, theirs with the start of the program that reads all of them. */
export const ipmiStatus: Bench = {
  name: 'ipmi-status',
  compares: `CPU per power status of ${count} simulated BMCs in cipher suite 17, against ipmipower --stat`,
  async run() {
    const fleet = await startFleet(count);
    const driver = createIpmiDriver(
      { clock: new SystemClock(), log: () => undefined },
      { idle: 'keep-alive' },
    );
    try {
      const password = new Secret('password');
      const target = { port: 623, username: 'admin', password, minSuite: 17, privilege: 'user' } as const;
      const bmcs = Array.from({ length: count }, (_, i) => driver.open({ ...target, host: fleetAddress(i) }));
      const each = async (task: (bmc: Bmc) => Promise<unknown>): Promise<void> => {
        const lane = new Semaphore(atOnce);
        await Promise.all(bmcs.map((bmc) => lane.run(() => task(bmc))));
      };
      const coldRound = (): Promise<number> =>
        cpu(async () => {
          await each((bmc) => bmc.state());
          await each((bmc) => bmc.close());
        });
      const first = await coldRound();
      const theirs: number[] = [];
      const cold: number[] = [];
      const reused: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        theirs.push(await ipmipower());
        cold.push(await coldRound());
        await each((bmc) => bmc.state());
        reused.push(await cpu(() => each((bmc) => bmc.state())));
        await each((bmc) => bmc.close());
      }
      return [
        figure('status with its own session, set up and closed', cold, theirs, 0.5),
        figure('status in a session that is kept', reused, theirs, 0.15),
        figure('the first round of a new process, for comparison', [first], theirs, null),
      ];
    } finally {
      await driver.close();
      await fleet.stop();
    }
  },
};

function figure(
  what: string,
  ours: readonly number[],
  theirs: readonly number[],
  most: number | null,
): Figure {
  const shown = (values: readonly number[]): string => `${(median(values) / count).toFixed(3)} ms`;
  return {
    what,
    ours: shown(ours),
    reference: shown(theirs),
    ratio: median(ours.map((value, round) => value / theirs[round]!)),
    target: most === null ? null : { atMost: most },
  };
}

/** CPU milliseconds, user and system, of this process. */
async function cpu(task: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await task();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

/** The same of one ipmipower that reads all. */
async function ipmipower(): Promise<number> {
  const options = `-D LAN_2_0 -I 17 -l USER -u admin -p password -h '${fleetRange(count)}'`;
  // `times` of the shell tells, in its last line, what its children used.
  const command = `ipmipower ${options} --stat; times`;
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` };
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', command], { maxBuffer: 1 << 24, env });
  const lines = stdout.trim().split('\n');
  const read = lines.filter((line) => /: (on|off)$/.test(line)).length;
  if (read !== count)
    throw new BenchSkipped(`ipmipower read ${read} of ${count} BMCs; apt-get install freeipmi-tools`);
  const [user = 0, system = 0] = lines
    .at(-1)!
    .split(' ')
    .map((part) => {
      const [, minutes = '', seconds = ''] = /^(\d+)m([\d.]+)s$/.exec(part) ?? [];
      return (Number(minutes) * 60 + Number(seconds)) * 1_000;
    });
  return user + system;
}
