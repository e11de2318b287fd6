import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { BenchSkipped } from './bench.ts';

/** Whether the host behind a BMC of the fleet is on. */
export const fleetHostIsOn = (index: number): boolean => index % 2 === 0;

export interface Fleet {
  stop(): Promise<void>;
}

/** Starts simulated BMCs on addresses of their own, port 623, which needs root. */
export async function startFleet(count: number, deadEvery = 0): Promise<Fleet> {
  const program = fileURLToPath(new URL('./ipmi-fleet-process.ts', import.meta.url));
  const child = fork(program, [String(count), String(deadEvery)], {
    execArgv: ['--import', fileURLToPath(import.meta.resolve('tsx'))],
  });
  const ended = once(child, 'exit');
  const outcome = await Promise.race([once(child, 'message').then(() => 'ready'), ended.then(() => 'ended')]);
  if (outcome === 'ended')
    throw new BenchSkipped('the simulated BMCs did not start: their port 623 needs root');
  return {
    stop: async () => {
      child.send('stop');
      await ended;
    },
  };
}
