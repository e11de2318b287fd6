import assert from 'node:assert/strict';
import { failureCodes, generatedParts, unusedStepTexts } from './generated-parts.ts';
import { textOf } from './pages.ts';
import { renderPages } from './render-pages.ts';

describe('the generated parts of the documentation', () => {
  let rendered: ReadonlyMap<string, string>;

  before(async () => {
    rendered = await renderPages();
  });

  it('are published as the code has them', () => {
    for (const [page, text] of rendered)
      assert.equal(textOf(page), text, `${page}; run: node --import tsx test/docs/write-pages.ts`);
  });

  it('are each on a page', () => {
    const all = [...rendered.values()].join('\n');
    for (const name of generatedParts().keys())
      assert.ok(all.includes(`<!-- generated: ${name} -->`), `no page takes in "${name}"`);
  });

  it('describe no step that is not there any more', () => {
    assert.deepEqual(unusedStepTexts(), []);
  });

  it('name every failure code', () => {
    const page = textOf('docs/failures.md');
    for (const code of Object.keys(failureCodes)) assert.ok(page.includes(`| \`${code}\` `), code);
  });
});
