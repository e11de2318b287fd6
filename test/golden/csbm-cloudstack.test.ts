import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { vector } from './cloudstack-vectors.ts';

const root = new URL('../../', import.meta.url);
const program = `
  import { cloudstackCommand } from './src/cli/direct/cloudstack.ts';
  await cloudstackCommand().parseAsync(process.argv.slice(1), { from: 'user' });
`;

async function run(
  argument: string,
  input: string,
): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', program, argument],
    { cwd: root },
  );
  child.stdin.end(input);
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return { code, out, err };
}

describe('csbm cloudstack', () => {
  it('decode prints one JSON object; encode makes the frame of it again', async () => {
    const golden = vector('start-non-ascii-and-escapes');
    const spaced = golden.frameHex.replaceAll(/(.{32})/g, '$1 \n');
    const decoded = await run('decode', spaced);
    assert.equal(decoded.err, '');
    assert.equal(decoded.code, 0);
    const { headerFields, compressed, bodyBytes, classes, json } = golden;
    assert.deepEqual(JSON.parse(decoded.out), { headerFields, compressed, bodyBytes, classes, json });

    const encoded = await run('encode', decoded.out);
    assert.equal(encoded.code, 0);
    assert.equal(encoded.out.trim(), golden.frameHex);
  });

  it('bad input ends with exit code 1 and says what is wrong', async () => {
    const decoded = await run('decode', '00 zz');
    assert.equal(decoded.code, 1);
    assert.equal(decoded.out, '');
    assert.match(decoded.err, /^error: .*"z" is not a hex digit/);
    const encoded = await run('encode', '{"headerFields":{"flags":1}}');
    assert.equal(encoded.code, 1);
    assert.equal(encoded.out, '');
    assert.match(encoded.err, /^error: .*"json" is missing/);
  });
});
