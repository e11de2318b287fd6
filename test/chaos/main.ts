import { campaign } from './campaign.ts';
import { mutants } from './mutants/mutants.ts';
import { choice, number } from './settings.ts';
import { reportOf, summary } from './summary.ts';

const minutes = number('MINUTES', Infinity);
const replay = process.env['SEED'] !== undefined && process.env['RUNS'] === undefined && minutes === Infinity;
const seed = number('SEED', Math.floor(Date.now() / 1_000));
const runs = number('RUNS', replay ? 1 : minutes === Infinity ? 20 : Infinity);
const wanted = process.env['MUTANT'];
const mutant = wanted ? mutants.find(({ name }) => name === wanted) : null;
if (mutant === undefined)
  throw new Error(`MUTANT=${wanted}: write one of ${mutants.map(({ name }) => name).join('; ')}`);
const begin = performance.now();
process.stdout.write(`chaos: ${replay ? `SEED=${seed}` : `runs from SEED=${seed} on`}\n`);
const results = await campaign({
  engine: choice('ENGINE', ['native', 'maas']),
  store: choice('STORE', ['sqlite', 'mariadb']),
  instances: number('INSTANCES', 1),
  mutant,
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
