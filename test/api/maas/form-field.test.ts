import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Fields } from '../../../src/api/maas/fields.ts';
import {
  addressesField,
  choiceField,
  flagField,
  macsField,
  nameField,
  needed,
  networkField,
  nullableField,
  readForm,
  textField,
  wholeField,
} from '../../../src/api/maas/form-field.ts';
import { MaasRefusal } from '../../../src/api/maas/maas-refusal.ts';

const form = {
  name: needed(nameField('')),
  note: textField('', { max: 20 }),
  flag: flagField('', true),
  size: wholeField('', 5, { min: 1, max: 9 }),
  kind: choiceField('', ['a', 'b'], 'a'),
  net: nullableField(networkField('')),
  servers: addressesField(''),
  macs: macsField(''),
};

const fields = (pairs: readonly (readonly [string, string])[]): Fields => new Fields(pairs);

describe('MAAS API: forms', () => {
  it('fill in what is not said, and change only what is said', () => {
    const made = readForm(form, fields([['name', 'x']]), null);
    assert.deepEqual(made, {
      name: 'x',
      note: '',
      flag: true,
      size: 5,
      kind: 'a',
      net: null,
      servers: [],
      macs: [],
    });
    const said = fields([
      ['flag', 'No'],
      ['net', '10.0.0.9/8'],
      ['servers', '10.0.0.1,10.0.0.2'],
      ['servers', '::1'],
      ['macs', '52-54-00-AA-BB-CC'],
    ]);
    const changed = readForm(form, said, { ...made, size: 7 });
    assert.deepEqual(changed, {
      ...made,
      flag: false,
      size: 7,
      net: '10.0.0.0/8',
      servers: ['10.0.0.1', '10.0.0.2', '::1'],
      macs: ['52:54:00:aa:bb:cc'],
    });
    assert.equal(readForm(form, fields([['net', '']]), changed)['net'], null);
  });

  it('name every field that is wrong at once', () => {
    const said = fields([
      ['note', 'x'.repeat(21)],
      ['flag', 'maybe'],
      ['size', '10'],
      ['kind', 'c'],
      ['net', '10.0.0.0'],
      ['servers', 'here'],
      ['macs', 'mac'],
    ]);
    assert.throws(
      () => readForm(form, said, null),
      (thrown) => {
        assert.ok(thrown instanceof MaasRefusal);
        assert.equal(thrown.status, 400);
        assert.deepEqual(Object.keys(thrown.body).toSorted(), Object.keys(form).toSorted());
        return true;
      },
    );
  });

  it('answer anything with values or a refusal', () => {
    const name = fc.oneof(fc.constantFrom(...Object.keys(form)), fc.string());
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.string())), (pairs) => {
        try {
          const values = readForm(form, fields(pairs), null);
          assert.deepEqual(Object.keys(values), Object.keys(form));
          assert.notEqual(values['name'], '');
        } catch (thrown) {
          assert.ok(thrown instanceof MaasRefusal, String(thrown));
        }
      }),
    );
  });
});
