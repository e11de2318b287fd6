/** Writes the generated parts of the pages anew: `node --import tsx test/docs/write-pages.ts`. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './pages.ts';
import { renderPages } from './render-pages.ts';

for (const [page, text] of await renderPages()) writeFileSync(path.join(root, page), text);
