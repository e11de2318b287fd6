import assert from 'node:assert/strict';
import fc from 'fast-check';
import { mapTemplate, type TemplateTarget } from '../../../src/core/image/template-map.ts';
import { ServiceError } from '../../../src/kernel/errors/service-error.ts';

const image = (name: string, ...aliases: string[]): TemplateTarget => ({ name, aliases });
const debian = image('debian-12', 'http://images.example/debian-12.qcow2', 'Debian 12 (bare metal)');
const rocky = image('rocky-9');
const images = [debian, rocky];

function refusal(template: string, among: readonly TemplateTarget[] = images): ServiceError {
  try {
    mapTemplate(template, among);
  } catch (error) {
    assert.ok(error instanceof ServiceError);
    return error;
  }
  assert.fail(`"${template}" was mapped`);
}

describe('template map', () => {
  for (const template of [
    'debian-12',
    'csbm://debian-12',
    '  csbm://debian-12\n',
    'http://images.example/debian-12.qcow2',
    'Debian 12 (bare metal)',
  ]) {
    it(`takes ${JSON.stringify(template)} for debian-12`, () => {
      assert.equal(mapTemplate(template, images), debian);
    });
  }

  for (const template of [
    '',
    '   ',
    'csbm://',
    'Debian-12',
    'debian-1',
    'debian-12 x',
    'csbm://csbm://debian-12',
    'http://images.example/debian-12.qcow2?x=1',
    'CSBM://debian-12',
  ]) {
    it(`refuses ${JSON.stringify(template)}`, () => {
      assert.equal(refusal(template).code, 'image.no-match');
    });
  }

  it('names what may have been meant', () => {
    assert.match(refusal('debian-13').message, /similar: debian-12/);
    assert.match(refusal('DEBIAN-12').message, /similar: debian-12/);
    assert.match(refusal('deb').message, /similar: .*debian-12/);
    assert.doesNotMatch(refusal('windows-2022').message, /similar/);
  });

  it('refuses two images of the same name or alias, naming both', () => {
    const error = refusal('web', [image('a', 'web'), image('b', ' web ')]);
    assert.equal(error.code, 'image.ambiguous');
    assert.match(error.message, /a, b/);
  });

  it('counts an image once that matches by name and by alias', () => {
    const both = image('x', 'x', 'csbm://x');
    assert.equal(mapTemplate('csbm://x', [both]), both);
  });

  it('shows no password and no signed query of a template URL', () => {
    const { message } = refusal('http://user:hunter2@store.example/x.img?X-Signature=abc');
    assert.doesNotMatch(message, /hunter2|abc/);
    assert.match(message, /store\.example/);
  });

  it('maps only on exact equality, whatever the names', () => {
    const name = fc.string({ minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(
        fc.uniqueArray(name, { maxLength: 6, selector: (n) => n.trim() }),
        name,
        (names, template) => {
          const all = names.map((n) => image(n));
          const exact = all.filter(
            (i) =>
              i.name.trim() !== '' &&
              [template.trim(), template.trim().replace(/^csbm:\/\//, '')].includes(i.name.trim()),
          );
          if (exact.length === 1) assert.equal(mapTemplate(template, all), exact[0]);
          else refusal(template, all);
        },
      ),
    );
  });
});
