/** Writes `docs/cli.md` anew: `node --import tsx src/cli/write-reference.ts`. */
import { writeFileSync } from 'node:fs';
import { cliReference } from './cli-reference.ts';
import { csbmProgram } from './program.ts';
import { processTerminal } from './terminal.ts';

writeFileSync(
  new URL('../../docs/cli.md', import.meta.url),
  cliReference(await csbmProgram(processTerminal())),
);
