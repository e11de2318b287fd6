import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { redVlan, type Stage } from '../../lab/demo/stage.ts';
import { localStage } from '../support/local-stage.ts';
import { requirePeer } from '../support/peers.ts';

const run = promisify(execFile);
const folder = fileURLToPath(new URL('maas', import.meta.url));
/** One with `requirements.txt` installed. */
const python = process.env['MAAS_CLIENTS_PYTHON'] ?? 'python3';

function hasModule(name: string): boolean {
  try {
    execFileSync(python, ['-c', `import ${name}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/**
 * Clients that nobody here wrote, each with its smallest working set, on the floor: `pip install -r test/interop/maas/requirements.txt`
 * (into the python that MAAS_CLIENTS_PYTHON names) and Go are what they need.
 */
describe('clients of MAAS', function () {
  // Go builds its libraries the first time.
  this.timeout(300_000);
  let stage: Stage;
  let close: () => Promise<void> = async () => undefined;
  let key: string;
  let terraformKey: string;
  let binaries: string;

  before(async () => {
    binaries = mkdtempSync(path.join(tmpdir(), 'csbm-maas-clients-'));
    ({ stage, close } = await localStage({ maas: { releasingFor: ['terraform'] } }));
    const keyOf = async (principal?: string): Promise<string> =>
      String(
        (await stage.admin.call('POST', '/api-keys', { name: 'interop', ...(principal && { principal }) }))[
          'key'
        ],
      );
    key = await keyOf();
    // It fails when it sees any status that it did not expect.
    await stage.admin.call('POST', '/principals', { name: 'terraform', role: 'admin', scope: '*' });
    terraformKey = await keyOf('terraform');
  });

  after(async () => {
    await close();
    rmSync(binaries, { recursive: true, force: true });
  });

  const image = 'lab-linux';
  const machine = 'server-1';

  async function client(program: string, ...args: readonly string[]): Promise<void> {
    const ran = await run(program, [...args], { timeout: 240_000 }).catch((thrown: unknown) => {
      const { stdout = '', stderr = '' } = thrown as { readonly stdout?: string; readonly stderr?: string };
      assert.fail(`${path.basename(program)}\n${stdout.slice(-3_000)}\n${stderr.slice(-3_000)}`);
    });
    assert.match(ran.stdout, /^done$/m, ran.stdout + ran.stderr);
    const row = stage.floor.table()[0]!;
    assert.deepEqual([row.power, row.ports.map((port) => port.tagged)], ['off', [[], []]]);
    assert.deepEqual(stage.floor.oracle.violations, []);
  }

  function built(name: string): string {
    const binary = path.join(binaries, name);
    execFileSync('go', ['build', '-o', binary, `./${name}`], {
      cwd: folder,
      env: { ...process.env, GOFLAGS: '-mod=readonly' },
    });
    return binary;
  }

  // It makes the tenant's VLAN and the bond that the others find.
  it('gomaasclient, as terraform uses it: makes VLAN and bond, deploys, releases', async function () {
    requirePeer(this, 'go');
    await client(built('gomaasclient'), stage.maasRoot, terraformKey, image, machine, String(redVlan));
  });

  it('gomaasapi, as Juju uses it', async function () {
    requirePeer(this, 'go');
    await client(built('gomaasapi'), stage.maasRoot, key, image, machine);
  });

  it('python-libmaas', async function () {
    requirePeer(this, 'python-libmaas', () => hasModule('maas.client'));
    await client(python, path.join(folder, 'libmaas-client.py'), stage.maasRoot, key, image, machine);
  });

  it("requests-oauthlib with the calls of CloudStack's extension: HMAC-SHA1", async function () {
    requirePeer(this, 'requests-oauthlib', () => hasModule('requests_oauthlib'));
    await client(python, path.join(folder, 'cloudstack-extension.py'), stage.maasRoot, key, image, machine);
  });

  it('the terraform provider', function () {
    process.stderr.write('    skipped: no package registry has the terraform binary, nor its providers\n');
    this.skip();
  });
});
