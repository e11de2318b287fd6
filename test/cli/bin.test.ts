import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../bin/csbm', import.meta.url));

/** The script alone, in a package made for each test, with only the programs that the test gives it. */
describe('bin/csbm', () => {
  let folder: string;
  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'csbm-bin-')));
    mkdirSync(join(folder, 'package', 'bin'), { recursive: true });
    mkdirSync(join(folder, 'programs'));
    copyFileSync(script, join(folder, 'package', 'bin', 'csbm'));
    for (const tool of ['sh', 'readlink', 'dirname', 'cat'])
      symlinkSync(join(systemFolder(tool), tool), join(folder, 'programs', tool));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const install = (): void => {
    mkdirSync(join(folder, 'package', 'dist', 'src', 'cli'), { recursive: true });
    writeFileSync(
      join(folder, 'package', 'dist', 'src', 'cli', 'main.js'),
      `process.stdin.on('data', (data) => process.stdout.write(JSON.stringify([process.argv.slice(2), String(data)])));`,
    );
  };
  const checkout = (): void => mkdirSync(join(folder, 'package', 'src'));
  const program = (name: string, text: string): void => {
    writeFileSync(join(folder, 'programs', name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, 'programs', name), 0o755);
  };
  const node = (): void => symlinkSync(process.execPath, join(folder, 'programs', 'node'));
  const run = (path = join(folder, 'package', 'bin', 'csbm')) => {
    const { status, stdout, stderr } = spawnSync(path, ['machine', 'a b'], {
      env: { PATH: join(folder, 'programs'), MAKEFLAGS: 'n' },
      input: 'typed',
      encoding: 'utf8',
      cwd: tmpdir(),
    });
    return { status, stdout, stderr };
  };
  const ran = { status: 0, stdout: '[["machine","a b"],"typed"]', stderr: '' };

  it('an installed package just runs, from wherever it is linked to', () => {
    install();
    node();
    assert.deepEqual(run(), ran);
    symlinkSync(join(folder, 'package', 'bin', 'csbm'), join(folder, 'absolute'));
    assert.deepEqual(run(join(folder, 'absolute')), ran);
    mkdirSync(join(folder, 'links'));
    symlinkSync('../absolute', join(folder, 'links', 'relative'));
    assert.deepEqual(run(join(folder, 'links', 'relative')), ran);
  });

  it('a checkout is built first; what make says goes to standard error, what is typed does not go to make', () => {
    install();
    checkout();
    node();
    program('npm', 'exit 1');
    program('make', 'echo "building $* [$MAKEFLAGS]"; cat >/dev/null');
    assert.deepEqual(run(), { ...ran, stderr: `building -s -C ${join(folder, 'package')} build []\n` });
  });

  it('a build that fails is the end, with the command to try it', () => {
    install();
    checkout();
    node();
    program('npm', 'exit 1');
    program('make', 'echo broken; exit 2');
    const { status, stdout, stderr } = run();
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /^broken\ncsbm: the build failed.*make -C .*package build\n$/);
  });

  it('a checkout that was never built and cannot be says how', () => {
    checkout();
    node();
    const { status, stdout, stderr } = run();
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /^csbm: .*not built.*make -C .*package build\n$/);
  });

  it('an incomplete package says so', () => {
    node();
    const { status, stderr } = run();
    assert.equal(status, 1);
    assert.match(stderr, /^csbm: .*main\.js is missing/);
  });

  it('says when there is no Node.js, and when it is too old or strange', () => {
    install();
    assert.match(run().stderr, /^csbm: Node\.js is not installed.*20\.19/);
    for (const version of ['v18.20.4', 'v20.18.3', 'v8.1.0']) {
      program('node', `echo ${version}`);
      const { status, stdout, stderr } = run();
      assert.deepEqual([status, stdout], [1, '']);
      assert.match(
        stderr,
        new RegExp(`^csbm: Node\\.js ${version.slice(1)} is too old; install version 20\\.19`),
      );
    }
    program('node', 'echo surprise');
    assert.match(run().stderr, /^csbm: Node\.js says that its version is "surprise"/);
    for (const version of ['v20.19.0', 'v22.1.0', 'v26.0.0-pre']) {
      program('node', `[ "$1" = --version ] && echo ${version} || echo started`);
      assert.equal(run().stdout, 'started\n', version);
    }
  });
});

function systemFolder(tool: string): string {
  const { stdout } = spawnSync('/bin/sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' });
  return dirname(stdout.trim());
}
