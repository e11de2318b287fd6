import assert from 'node:assert/strict';
import fc from 'fast-check';
import { MalformedForm } from '../../../src/wire/maas-form/form.ts';
import { parseMediaType } from '../../../src/wire/maas-form/media-type.ts';
import { formKind, parseForm } from '../../../src/wire/maas-form/parse-form.ts';

const boundary = '===============6846402411403741894==';
const multipart = `multipart/form-data; boundary="${boundary}"`;

/** A body as Python's email package writes it, with the line ends that the `maas` command puts there. */
function pythonBody(
  parts: readonly { readonly headers: readonly string[]; readonly content: string }[],
): Buffer {
  const written = parts.map(
    ({ headers, content }) =>
      `--${boundary}\r\nMIME-Version: 1.0\r\n${headers.join('\r\n')}\r\n\r\n${content}`,
  );
  return Buffer.from(`${written.join('\r\n')}\r\n--${boundary}--\r\n`);
}

/** As the `maas` command and libmaas send one field: base64 in lines of 76, with a line end of its own. */
function fieldPart(name: string, value: string, binary = false) {
  const lines = Buffer.from(value)
    .toString('base64')
    .match(/.{1,76}/g) ?? [''];
  return {
    headers: [
      binary ? 'Content-Type: application/octet-stream' : 'Content-Type: text/plain; charset="utf-8"',
      'Content-Transfer-Encoding: base64',
      `Content-Disposition: form-data; name="${name}"`,
    ],
    content: `${lines.join('\r\n')}\r\n`,
  };
}

describe('bodies as MAAS’s clients send them', () => {
  it('multipart: base64 parts, numbers as octet-stream without a file name, repeated names', () => {
    const long = `#cloud-config\n${'écho '.repeat(100)}`;
    const body = pythonBody([
      fieldPart('hostname', 'node-1'),
      fieldPart('cpu_count', '4', true),
      fieldPart('tags', 'a'),
      fieldPart('tags', 'b'),
      fieldPart('user_data', long),
      fieldPart('empty', ''),
    ]);
    assert.deepEqual(parseForm(multipart, body).entries, [
      ['hostname', 'node-1'],
      ['cpu_count', '4'],
      ['tags', 'a'],
      ['tags', 'b'],
      ['user_data', long],
      ['empty', ''],
    ]);
  });

  it('multipart: the body of a call without parameters has no fields', () => {
    const empty = Buffer.from(`--${boundary}\r\n\r\n--${boundary}--`);
    assert.equal(empty.length, 82);
    assert.deepEqual(parseForm(multipart, empty), { entries: [], files: new Map() });
    assert.deepEqual(parseForm(multipart, Buffer.alloc(0)).entries, []);
    assert.deepEqual(parseForm(multipart, Buffer.from(`--${boundary}--\r\n`)).entries, []);
  });

  it('multipart: only what has a file name is a file, byte for byte', () => {
    const bytes = Buffer.from([0, 13, 10, 45, 45, 255, 13, 10]);
    const file = (name: string, more: string, content: Buffer | string): Buffer =>
      Buffer.concat([
        Buffer.from(`--b\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n`),
        Buffer.from(content),
        Buffer.from('\r\n'),
      ]);
    const form = parseForm(
      'multipart/form-data; boundary=b',
      Buffer.concat([
        file('filename', '', 'state'),
        file('file', '; filename="a \\"b\\".bin"', bytes),
        file('other', "; filename*=utf-8''%C3%A9.txt", ''),
        Buffer.from('--b--'),
      ]),
    );
    assert.deepEqual(form.entries, [['filename', 'state']]);
    assert.deepEqual(form.files.get('file'), { filename: 'a "b".bin', bytes });
    assert.deepEqual(form.files.get('other'), { filename: 'é.txt', bytes: Buffer.alloc(0) });
  });

  it('multipart: a line that only begins like the boundary is content', () => {
    const body = '--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n--bc\r\na--b\r\n--b--';
    assert.deepEqual(parseForm('multipart/form-data; boundary=b', Buffer.from(body)).entries, [
      ['x', '--bc\r\na--b'],
    ]);
  });

  it('multipart: whatever the fields are, they come out as they went in', () => {
    const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.-]{0,15}$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.string({ unit: 'binary' }), fc.boolean())), (fields) => {
        const written = fields.map(([one, value, binary]) => fieldPart(one, value, binary));
        const expected = fields.map(([one, value]) => [one, Buffer.from(value).toString()]);
        assert.deepEqual(parseForm(multipart, pythonBody(written)).entries, expected);
      }),
    );
  });

  it('urlencoded: spaces, repeated names, blank values', () => {
    const form = parseForm(
      'application/x-www-form-urlencoded; charset=UTF-8',
      Buffer.from('?a=1&b=x+y&a=2%263&c&=v'),
    );
    assert.deepEqual(form.entries, [
      ['?a', '1'],
      ['b', 'x y'],
      ['a', '2&3'],
      ['c', ''],
      ['', 'v'],
    ]);
  });

  it('JSON: lists are repeated fields, everything else is its text', () => {
    const json = {
      hostname: 'n',
      tags: ['a', 1],
      on: true,
      n: 1.5,
      nothing: null,
      more: { a: [1] },
      none: [],
    };
    assert.deepEqual(parseForm('Application/JSON', Buffer.from(JSON.stringify(json))).entries, [
      ['hostname', 'n'],
      ['tags', 'a'],
      ['tags', '1'],
      ['on', 'true'],
      ['n', '1.5'],
      ['nothing', ''],
      ['more', '{"a":[1]}'],
    ]);
    assert.deepEqual(parseForm('application/json', Buffer.from('{"__proto__": "x"}')).entries, [
      ['__proto__', 'x'],
    ]);
  });

  it('another type, or a type without a body, has no fields', () => {
    assert.deepEqual(parseForm('application/octet-stream', Buffer.from('a=b')).entries, []);
    assert.deepEqual(parseForm('', Buffer.from('a=b')).entries, []);
    assert.deepEqual(parseForm('application/json', Buffer.alloc(0)).entries, []);
    assert.equal(formKind('toString'), 'other');
    assert.equal(parseMediaType('a/b; x="y;z"; X=2; w=1 ').parameters.get('w'), '1');
  });

  it('what is malformed is refused, and nothing of it is repeated', () => {
    const part = 'Content-Disposition: form-data; name="x"\r\n';
    const secret = 'hunter2';
    const malformed: readonly (readonly [string, string])[] = [
      ['multipart/form-data', `--b\r\n${secret}`],
      ['multipart/form-data; boundary=b', secret],
      ['multipart/form-data; boundary=b', `--b\r\n${part}\r\n${secret}`],
      ['multipart/form-data; boundary=b', `--b\r\n${part}`],
      ['multipart/form-data; boundary=b', `--b\r\n${secret}\r\n\r\n\r\n--b--`],
      [
        'multipart/form-data; boundary=b',
        `--b\r\n${part}Content-Transfer-Encoding: base64\r\n\r\n${secret}!\r\n--b--`,
      ],
      [
        'multipart/form-data; boundary=b',
        `--b\r\n${part}Content-Transfer-Encoding: x-${secret}\r\n\r\n\r\n--b--`,
      ],
      ['multipart/form-data; boundary=b', `--b\r\nX: ${'y'.repeat(10_000)}\r\n\r\n\r\n--b--`],
      ['application/json', `{"a": "${secret}`],
      ['application/json', `["${secret}"]`],
      ['application/json', `{"a": ${'['.repeat(40)}${']'.repeat(40)}}`],
    ];
    for (const [type, body] of malformed)
      assert.throws(
        () => parseForm(type, Buffer.from(body)),
        (thrown: unknown) => thrown instanceof MalformedForm && !thrown.message.includes(secret),
        `${type}: ${body.slice(0, 60)}`,
      );
  });

  it('more fields than the limit are refused, in every form', () => {
    const limits = { fields: 3, headerBytes: 100 };
    const parts = pythonBody([1, 2, 3, 4].map((n) => fieldPart('a', String(n))));
    for (const [type, body] of [
      ['application/x-www-form-urlencoded', 'a=1&a=2&a=3&a=4'],
      ['application/json', '{"a": [1, 2, 3, 4]}'],
      [
        'multipart/form-data; boundary=b',
        '--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n'.repeat(4) + '--b--',
      ],
    ] as const)
      assert.throws(() => parseForm(type, Buffer.from(body), limits), /more than 3 fields/);
    assert.equal(parseForm(multipart, parts).entries.length, 4);
  });

  it('any bytes are read or refused, and in time that grows with their length only', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '--b',
        '\r\n',
        '--',
        '\n',
        'Content-Disposition: form-data; name="',
        '"',
        ';',
        '=',
        '\\',
        'base64',
      ),
      fc.constantFrom('{', '[', '"a":', '}', ']', '%', '&', '\0'),
      fc.string({ unit: 'binary', maxLength: 6 }),
    );
    const types = [
      'multipart/form-data; boundary=b',
      'application/json',
      'application/x-www-form-urlencoded',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.array(piece, { maxLength: 60 }), (type, pieces) => {
        try {
          parseForm(type, Buffer.from(pieces.join('')));
        } catch (thrown) {
          assert.ok(thrown instanceof MalformedForm, String(thrown));
        }
      }),
    );
    for (const text of ['; a="', '; ', '="', '\\"', ';a=";'])
      parseMediaType(`multipart/form-data${text.repeat(2_000)}`);
  });
});
