import assert from 'node:assert/strict';
import { attempt, fuzz } from './fuzz.ts';
import { corpusOf } from './corpus.ts';
import type { FuzzTarget } from './fuzz-target.ts';
import { httpTargets, targets } from './targets.ts';

/** Of the short run: another one each day finds more than the same one for ever; FUZZ_SEED replays it. */
const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Date.now() / 86_400_000));
const runs = 250;

describe('fuzzing', function () {
  this.timeout(60_000);
  before(() => Promise.all(httpTargets.map((door) => door.open())));
  after(() => Promise.all(httpTargets.map((door) => door.close())));

  it('finds a fault that lies behind three conditions, by coverage', async () => {
    const target: FuzzTarget = {
      name: 'hidden',
      seeds: [Buffer.from('abcd')],
      words: ['x', 'y', 'z'],
      longest: 8,
      covers: /test\/fuzz\/fuzz\.test/,
      run: hidden,
    };
    const { crash } = await fuzz(target, { seed: 1, runs: 100_000, time: 40_000 });
    assert.match(crash?.input.toString('latin1') ?? '', /^xyz/);
  });

  for (const target of targets) {
    it(`${target.name}: what once crashed it, or reaches far, is taken`, async () => {
      for (const { file, input } of corpusOf(target.name)) {
        const error = await attempt(target, input);
        assert.equal(error, null, `${file}: ${error?.stack}`);
      }
    });

    it(`${target.name}: ${runs} inputs of seed ${seed}`, async () => {
      const corpus = corpusOf(target.name).map(({ input }) => input);
      const { crash } = await fuzz(target, { seed, runs, time: 700, corpus });
      assert.equal(
        crash,
        null,
        `FUZZ_SEED=${seed} ${target.name}: ${crash?.error.stack}\ninput in base64: ${crash?.input.toString('base64')}`,
      );
    });
  }
});

function hidden(input: Buffer): void {
  if (input[0] !== 0x78) return;
  if (input[1] !== 0x79) return;
  if (input[2] === 0x7a) throw new Error('found');
}
