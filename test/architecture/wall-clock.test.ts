import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The clock itself; and a command line, which a person reads at once. */
const mayAsk = ['src/kernel/clock/system-clock.ts', 'src/cli/'];

it('nothing asks for the time of day behind the clock’s back', () => {
  const asking = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join('src', file))
    .filter((file) => /\bDate\.now\(|new Date\(\)/.test(readFileSync(file, 'utf8')));
  assert.deepEqual(
    asking.filter((file) => !mayAsk.some((start) => file.startsWith(start))),
    [],
  );
  assert.ok(asking.includes('src/kernel/clock/system-clock.ts'), 'the search finds something');
});
