/** Writes `rack-config.schema.json` anew: `node --import tsx rack-config/write-json-schema.ts`, then prettier. */
import { writeFileSync } from 'node:fs';
import { rackConfigJsonSchema } from './json-schema.ts';

writeFileSync(
  new URL('rack-config.schema.json', import.meta.url),
  `${JSON.stringify(rackConfigJsonSchema(), null, 2)}\n`,
);
