import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { cliReference } from '../../src/cli/cli-reference.ts';
import { csbmProgram } from '../../src/cli/program.ts';
import { processTerminal } from '../../src/cli/terminal.ts';
import { csbm, ended, startCsbm } from './run-csbm.ts';

const verbs = [
  'serve',
  'status',
  'doctor',
  'machine',
  'console',
  'operation',
  'rack',
  'quarantine',
  'instance',
  'image',
  'pool',
  'principal',
  'api-key',
  'alarms',
  'timeline',
  'prune',
  'metrics',
  'config',
  'backup',
  'restore',
  'power',
  'switch',
  'cloudstack',
  'native',
  'lab',
];

describe('csbm: usage', () => {
  it('lists every verb, and explains each', async () => {
    const { code, out, err } = await csbm(['--help']);
    assert.equal(code, 0);
    assert.equal(err, '');
    for (const verb of verbs) assert.match(out, new RegExp(`^  ${verb}\\b`, 'm'));
    for (const verb of verbs) {
      for (const args of [
        [verb, '--help'],
        ['help', verb],
      ]) {
        const explained = await csbm(args);
        assert.equal(explained.code, 0, args.join(' '));
        assert.match(explained.out, new RegExp(`^Usage: csbm ${verb}\\b`));
      }
    }
  });

  it('has the version of the package', async () => {
    const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
    const { version } = JSON.parse(manifest) as { version: string };
    assert.deepEqual(await csbm(['--version']), { code: 0, out: `${version}\n`, err: '' });
  });

  const wrong: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['an unknown verb', ['machin'], /unknown command 'machin'[\s\S]*machine/],
    ['an unknown verb of a group', ['machine', 'lst'], /unknown command 'lst'[\s\S]*list/],
    ['an unknown option', ['status', '--frobnicate'], /unknown option '--frobnicate'/],
    ['a missing argument', ['machine', 'show'], /missing required argument 'machine'/],
    ['too many arguments', ['alarms', 'now'], /too many arguments/],
    ['a missing option', ['image', 'add', 'x'], /required option '--name/],
    ['a value that is none', ['principal', 'add', 'x', '--role', 'root'], /Allowed choices are admin/],
    ['a misspelt address', ['machine', 'enrol', 'n', '--bmc', ':x'], /HOST:PORT/],
    ['a token as an option', ['status', '--token', 'x'], /unknown option '--token'/],
    ['a group without a verb', ['machine'], /Usage: csbm machine/],
    ['nothing at all', [], /Usage: csbm/],
  ];
  for (const [name, args, text] of wrong) {
    it(`ends with 2 for ${name}, and says what is wrong`, async () => {
      const { code, out, err } = await csbm(args);
      assert.equal(code, 2);
      assert.equal(out, '');
      assert.match(err, text);
    });
  }

  it('a verb that works without the service tells its failure as a document too', async () => {
    const { code, out, err } = await csbm(['switch', 'read', '--rack', '/absent/rack.json', '--json']);
    assert.equal(code, 1);
    const { error } = JSON.parse(out) as { error: { code: string; what: string; retry: string } };
    assert.equal(error.code, 'config.invalid');
    assert.equal(error.retry, 'operator');
    assert.match(error.what, /ENOENT/);
    assert.match(err, /^error: .*\/absent\/rack\.json.*\[config\.invalid\]\n$/);
  });

  it('tells a usage error as a document too when JSON is asked for', async () => {
    const { code, out } = await csbm(['status', '--json', '--frobnicate']);
    assert.equal(code, 2);
    const { error } = JSON.parse(out) as { error: { code: string; what: string } };
    assert.equal(error.code, 'cli.usage');
    assert.match(error.what, /--frobnicate/);
  });

  it('reads the verb wherever it stands, and its options around it', async () => {
    const { code, err } = await csbm(['status', '--url', 'ftp://x']);
    assert.equal(code, 2);
    assert.match(err, /URL of the service is misspelt \[cli\.usage\][\s\S]*to do: {3}write http/);
  });

  it('loads no server and no database to explain itself, and ends as a process does', async () => {
    const probe = startCsbm(['--help'], {
      env: { NODE_OPTIONS: `--import ${fileURLToPath(new URL('./loaded-modules.mjs', import.meta.url))}` },
    });
    const { code, out, err } = await ended(probe);
    assert.equal(code, 0);
    assert.match(out, /^Usage: csbm/);
    assert.match(err, /loaded: .*commander/);
    assert.doesNotMatch(err, /loaded: .*\b(express|typeorm|pino|ssh2|libsql)\b/);
  });

  it('docs/cli.md lists the verbs as they are', async () => {
    const page = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');
    const program = await csbmProgram(processTerminal());
    assert.deepEqual(
      program.commands.map((command) => command.name()),
      verbs,
    );
    assert.equal(
      page,
      cliReference(program),
      'docs/cli.md is out of date: node --import tsx src/cli/write-reference.ts',
    );
  });
});
