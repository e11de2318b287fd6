import { campaign } from './campaign.ts';
import { reportOf, summary } from './summary.ts';

const number = (name: string, usual: number): number => {
  const text = process.env[name];
  if (text === undefined || text === '') return usual;
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`${name}=${text}: write a number above 0`);
};

const choice = <T extends string>(name: string, choices: readonly T[]): T => {
  const text = process.env[name];
  if (text === undefined || text === '') return choices[0]!;
  const found = choices.find((one) => one === text);
  if (found !== undefined) return found;
  throw new Error(`${name}=${text}: write ${choices.join(' or ')}`);
};

const minutes = number('MINUTES', Infinity);
const replay = process.env['SEED'] !== undefined && process.env['RUNS'] === undefined && minutes === Infinity;
const seed = number('SEED', Math.floor(Date.now() / 1_000));
const runs = number('RUNS', replay ? 1 : minutes === Infinity ? 20 : Infinity);
const begin = performance.now();
process.stdout.write(`chaos: ${replay ? `SEED=${seed}` : `runs from SEED=${seed} on`}\n`);
const results = await campaign({
  engine: choice('ENGINE', ['native', 'maas']),
  store: choice('STORE', ['sqlite', 'mariadb']),
  seed,
  most: runs,
  least: 0,
  time: minutes * 60_000,
  stages: number('STAGES', replay ? 1 : 2),
  onRun: (result) => {
    const asked = result.sent.map(({ ask, outcome }) => `${ask} ${outcome}`).join(', ');
    const faults = result.faults.join(', ') || 'no fault';
    process.stdout.write(
      `SEED=${result.seed}  ${result.seconds.toFixed(1)} s  ${result.violations.length === 0 ? 'ok' : 'VIOLATION'}  ${faults}, ${result.kills} kills: ${asked}\n`,
    );
    if (result.violations.length > 0) process.stdout.write(reportOf(result));
    else if (replay) process.stdout.write(`${result.timeline}\n`);
  },
});
process.stdout.write(summary(results, (performance.now() - begin) / 1_000));
process.exitCode = results.some(({ violations }) => violations.length > 0) ? 1 : 0;
