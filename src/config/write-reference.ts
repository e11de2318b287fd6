/** Writes `docs/config.md` anew: `node --import tsx src/config/write-reference.ts`. */
import { writeFileSync } from 'node:fs';
import { configReference } from './config-reference.ts';

writeFileSync(new URL('../../docs/config.md', import.meta.url), configReference());
