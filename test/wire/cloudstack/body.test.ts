import assert from 'node:assert/strict';
import fc from 'fast-check';
import { composeBody, parseBody } from '../../../src/wire/cloudstack/body.ts';
import {
  flagField,
  longField,
  parseFields,
  textField,
  textMapField,
} from '../../../src/wire/cloudstack/gson-reader.ts';
import { gsonText, type GsonValue } from '../../../src/wire/cloudstack/gson-writer.ts';
import { arrayElements, objectMembers } from '../../../src/wire/cloudstack/json-slice.ts';

const malformed = { code: 'agent.frame' };

describe('bodies', () => {
  it('keep every class and every object as it stood', () => {
    const object = fc
      .dictionary(fc.string(), fc.jsonValue())
      .chain((value) => fc.constantFrom(0, 1, 4).map((indent) => JSON.stringify(value, null, indent)));
    const entry = fc.record(
      { className: fc.string({ minLength: 1 }), text: object },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(fc.array(entry), (entries) => {
        const parsed = parseBody(composeBody(entries));
        assert.deepEqual(
          parsed.map(({ className, text }) => ({ className, text })),
          entries,
        );
      }),
    );
  });

  it('read spaced JSON, unknown classes, and only the first key of an object', () => {
    const parsed = parseBody(' [ { "a.B" : { "x" : [ 1 , { } ] } , "ignored" : 1 } ,\n{"c.D":{}} ] ');
    assert.deepEqual(
      parsed.map(({ className, text }) => [className, text]),
      [
        ['a.B', '{ "x" : [ 1 , { } ] }'],
        ['c.D', '{}'],
      ],
    );
  });

  it('of the wrong shape are refused, and nothing of them is quoted', () => {
    const wrong = [
      '',
      'null',
      '{}',
      '{"a.B":{}}',
      '[null]',
      '[{}]',
      '[{"a.B":null}]',
      '[{"a.B":1}]',
      '[{"a.B":[]}]',
      '[{"a.B":{}}',
      '[{"a.B":{}},]',
      '[{"a.B":{}}]x',
      '[{"a.B":{}}{"a.B":{}}]',
      '[{"a.B":{"x":}}]',
      '[{"a.B":{"secret":tru}}]',
      '[{"a.B":{"x":"secret}}]',
      '[{"a.B":{"secret":[1}}}]',
      '[{a:{}}]',
      `[{"a.B":${'['.repeat(100_000)}${']'.repeat(100_000)}}]`,
      '['.repeat(100_000),
    ];
    for (const text of wrong) {
      assert.throws(
        () => parseBody(text),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'agent.frame', text.slice(0, 40));
          return !error.message.includes('secret');
        },
        text.slice(0, 40),
      );
    }
  });

  it('never crash on cut or damaged text', () => {
    const whole =
      '[{"com.cloud.agent.api.StartCommand":{"vm":{"id":9007199254740993,"d":"\\u003c\\"x"},"l":[1,2.5e3,null]}}]';
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.string({ maxLength: 3 }), (at, insert) => {
        const damaged = whole.slice(0, at) + insert + whole.slice(at + 1);
        try {
          parseBody(damaged);
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'agent.frame');
        }
      }),
    );
  });

  it('a prototype key stays a field', () => {
    const [entry] = parseBody('[{"a.B":{"__proto__":{"polluted":true},"toString":"x"}}]');
    assert.equal(Object.getPrototypeOf(entry!.fields), Object.prototype);
    assert.equal(flagField(parseFields('{}'), 'polluted'), false);
    assert.equal(textField(parseFields('{}'), 'constructor'), null);
  });
});

describe('raw slices', () => {
  it('cut JSON exactly where its values are', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.array(fc.jsonValue()), (object, array) => {
        const members = objectMembers(JSON.stringify(object, null, 2));
        assert.deepEqual(
          members.map(({ key, text }): [string, unknown] => [key, JSON.parse(text)]),
          Object.entries(JSON.parse(JSON.stringify(object)) as object),
        );
        assert.deepEqual(
          arrayElements(JSON.stringify(array)).map((text): unknown => JSON.parse(text)),
          JSON.parse(JSON.stringify(array)),
        );
      }),
    );
  });
});

describe('Gson text', () => {
  const plain = fc.letrec<{ value: GsonValue }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.string({ unit: 'binary' }),
      fc.boolean(),
      fc.maxSafeInteger(),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(fc.string({ unit: 'binary' }), tie('value'), { maxKeys: 4, noNullPrototype: true }),
    ),
  })).value;

  it('means what was written, in both styles', () => {
    fc.assert(
      fc.property(plain, (value) => {
        const expected: unknown = JSON.parse(JSON.stringify(value));
        assert.deepEqual(JSON.parse(gsonText(value, { nonAscii: 'utf8' })), expected);
        const escaped = gsonText(value, { nonAscii: 'escaped' });
        assert.deepEqual(JSON.parse(escaped), expected);
        assert.match(escaped, /^[\x20-\x7e]*$/);
      }),
    );
  });

  it('escapes as Java does', () => {
    const text = '<>&=\'"\\/\t\b\n\r\f\u0001\u2028\u2029ö🚀';
    assert.equal(
      gsonText(text, { nonAscii: 'utf8' }),
      String.raw`"\u003c\u003e\u0026\u003d\u0027\"\\/\t\b\n\r\f\u0001\u2028\u2029ö🚀"`,
    );
    assert.equal(gsonText('ö🚀', { nonAscii: 'escaped' }), String.raw`"\u00f6\ud83d\ude80"`);
  });

  it('leaves absent members out and refuses numbers that lost digits', () => {
    const style = { nonAscii: 'escaped' } as const;
    assert.equal(
      gsonText({ a: null, b: undefined, c: 9_007_199_254_740_993n }, style),
      '{"c":9007199254740993}',
    );
    assert.throws(() => gsonText(2 ** 53, style), RangeError);
    assert.throws(() => gsonText(0.5, style), RangeError);
  });
});

describe('Gson fields', () => {
  it('are read as Gson reads them', () => {
    const fields = parseFields(
      '{"n":9007199254740993,"t":"42","d":1.5,"yes":"true","no":1,"map":{"a":1,"b":true,"c":"x","d":null},"n":7}',
    );
    assert.equal(longField(fields, 'n'), 7n);
    assert.equal(longField(fields, 't'), 42n);
    assert.equal(longField(fields, 'd'), null);
    assert.equal(longField(fields, 'missing'), null);
    assert.equal(textField(fields, 'd'), '1.5');
    assert.equal(flagField(fields, 'yes'), true);
    assert.equal(flagField(fields, 'no'), false);
    assert.deepEqual(textMapField(fields, 'map'), { a: '1', b: 'true', c: 'x' });
    assert.throws(() => parseFields('[]'), malformed);
  });
});
