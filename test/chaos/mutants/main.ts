import { Semaphore } from '../../../src/kernel/concurrency/semaphore.ts';
import { choice, number } from '../settings.ts';
import { table } from '../summary.ts';
import { hunt, type Hunt } from './hunt.ts';
import { mutants } from './mutants.ts';

const seed = number('SEED', 1);
const most = number('RUNS', 40);
const only = process.env['MUTANT'] ?? '';
const hunted = mutants.filter(({ name }) => only.split(';').some((part) => name.includes(part)));
const engine = choice('ENGINE', ['native', 'maas']);
const store = choice('STORE', ['sqlite', 'mariadb']);
const lane = new Semaphore(number('STAGES', 2));
process.stdout.write(
  `chaos: ${hunted.length} mutants, each from SEED=${seed} on, for ${most} runs at most\n`,
);
const hunts = await Promise.all(
  hunted.map((mutant) =>
    lane.run(async (): Promise<Hunt> => {
      const { instances } = mutant;
      const where = instances
        ? ({ engine: 'native', store: 'mariadb', instances } as const)
        : { engine, store };
      const found = await hunt(mutant, { ...where, seed, most });
      process.stdout.write(
        `${mutant.name}: ${found.caught ? `caught by SEED=${found.caught.seed}` : 'SURVIVED'} after ${found.runs} runs, ${found.seconds.toFixed(0)} s\n`,
      );
      return found;
    }),
  ),
);
const rows = hunts.map(({ mutant, runs, caught, seconds }) => [
  mutant.law,
  mutant.name,
  caught ? caught.seed - seed + 1 : '-',
  runs,
  seconds.toFixed(0),
  caught ? caught.violations[0]!.split('\n')[0]!.slice(0, 150) : 'SURVIVED',
]);
process.stdout.write(`\n${table(['law', 'mutant', 'seeds', 'runs', 's', 'what told'], rows).join('\n')}\n\n`);
const survivors = hunts.filter(({ caught }) => !caught);
process.stdout.write(
  `${hunts.length - survivors.length} of ${hunts.length} mutants were caught${survivors.length > 0 ? `; survived: ${survivors.map(({ mutant }) => mutant.name).join(', ')}` : ''}\n`,
);
process.exitCode = survivors.length > 0 ? 1 : 0;
