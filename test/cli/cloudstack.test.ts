import assert from 'node:assert/strict';
import { vector, vectors } from '../golden/cloudstack-vectors.ts';
import { ended, startCsbm } from './run-csbm.ts';

/** One of each kind: they are all gone through in test/golden, without a process each. */
const names = [
  'ping-answer',
  'start-non-ascii-and-escapes',
  'multi-continue-on-error',
  vectors.find((golden) => golden.compressed)!.name,
];

describe('csbm cloudstack, as a process', () => {
  for (const name of names) {
    it(`decode prints ${name} as JSON and nothing else; encode makes the frame of it`, async () => {
      const golden = vector(name);
      const decoded = await ended(startCsbm(['cloudstack', 'decode']), golden.frameHex);
      assert.deepEqual([decoded.code, decoded.err], [0, '']);
      const { headerFields, compressed, bodyBytes, classes, json } = golden;
      assert.deepEqual(JSON.parse(decoded.out), { headerFields, compressed, bodyBytes, classes, json });

      const encoded = await ended(startCsbm(['cloudstack', 'encode']), decoded.out);
      assert.deepEqual([encoded.code, encoded.err], [0, '']);
      if (golden.compressed) {
        // gzip bytes differ between zlib and the JDK: what they mean may not.
        const again = await ended(startCsbm(['cloudstack', 'decode']), encoded.out);
        const { json: text, classes: kinds } = JSON.parse(again.out) as typeof golden;
        assert.deepEqual([text, kinds], [json, classes]);
      } else {
        assert.equal(encoded.out, `${golden.frameHex}\n`);
      }
    });
  }

  it('what is no frame ends with 1, told on standard error only', async () => {
    const { code, out, err } = await ended(startCsbm(['cloudstack', 'decode']), 'zz');
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, /not a hex digit/);
  });
});
