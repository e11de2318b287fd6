/** `make fuzz`: fuzzes one target, or each in turn, for some seconds; keeps what crashes it. */
import { corpusOf, keep } from './corpus.ts';
import { fuzz } from './fuzz.ts';
import { httpTargets, targets } from './targets.ts';

const wanted = process.env['TARGET'] ?? '';
const time = Number(process.env['SECONDS'] ?? '20') * 1_000;
const seed = Number(process.env['SEED'] || Math.floor(Math.random() * 2 ** 32));
const chosen = targets.filter(({ name }) => wanted === '' || name === wanted);
if (chosen.length === 0 || !Number.isFinite(time) || !Number.isFinite(seed)) {
  process.stderr.write(
    `TARGET= one of: ${targets.map(({ name }) => name).join(' ')}; SECONDS= and SEED= numbers\n`,
  );
  process.exitCode = 2;
} else {
  process.stdout.write(`seed ${seed}\n`);
  for (const door of httpTargets) await door.open();
  for (const target of chosen) {
    const corpus = corpusOf(target.name).map(({ input }) => input);
    const { runs, blocks, found, crash } = await fuzz(target, { seed, time, corpus });
    process.stdout.write(`${target.name}: ${runs} runs, ${blocks} blocks, ${found.length} new inputs\n`);
    if (!crash) continue;
    const file = keep(target.name, crash.input);
    process.stdout.write(`CRASH ${target.name}: ${crash.error.stack}\nkept as ${file}\n`);
    process.exitCode = 1;
  }
  for (const door of httpTargets) await door.close();
}
