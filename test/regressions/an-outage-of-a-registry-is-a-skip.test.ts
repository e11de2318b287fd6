import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { peerRequired } from '../support/peers.ts';

const script = fileURLToPath(new URL('../../.ci/fetch.sh', import.meta.url));

describe('regression: a registry that cannot be reached ended CI before its first test', () => {
  let log: string;

  beforeEach(() => {
    log = mkdtempSync(path.join(tmpdir(), 'csbm-fetch-'));
  });

  afterEach(() => {
    rmSync(log, { recursive: true, force: true });
  });

  /** Runs `fetch clients sh -c COMMAND`, with $TRIES as a file to count in. */
  function fetched(command: string): { status: number | null; tries: number; noted: string } {
    const tries = path.join(log, 'tries');
    const { status } = spawnSync(
      'bash',
      ['-euo', 'pipefail', '-c', `. "$SCRIPT"; fetch clients sh -c 'echo once >>"$TRIES"; ${command}'`],
      { env: { ...process.env, SCRIPT: script, TRIES: tries, log, FETCH_PAUSE: '0' } },
    );
    const noted = path.join(log, 'unreachable');
    return {
      status,
      tries: readFileSync(tries, 'utf8').split('\n').length - 1,
      noted: existsSync(noted) ? readFileSync(noted, 'utf8') : '',
    };
  }

  it('is noted as a skip after three tries', () => {
    assert.deepEqual(fetched('echo "Temporary failure in name resolution" >&2; exit 1'), {
      status: 75,
      tries: 3,
      noted: 'SKIPPED: clients: the registry cannot be reached\n',
    });
  });

  it('is over when a later try comes through', () => {
    assert.deepEqual(fetched('[ $(wc -l <"$TRIES") = 2 ] || { echo EAI_AGAIN; exit 1; }'), {
      status: 0,
      tries: 2,
      noted: '',
    });
  });

  it('is not what a package that does not exist is', () => {
    assert.deepEqual(fetched('echo "No matching distribution found"; exit 4'), {
      status: 4,
      tries: 1,
      noted: '',
    });
  });

  it('excuses the peers that are named, and no others', () => {
    const before = process.env['CI_REQUIRED_PEERS'];
    try {
      process.env['CI_REQUIRED_PEERS'] = 'all,-python-libmaas';
      assert.deepEqual([peerRequired('python-libmaas'), peerRequired('netmiko')], [false, true]);
    } finally {
      if (before === undefined) delete process.env['CI_REQUIRED_PEERS'];
      else process.env['CI_REQUIRED_PEERS'] = before;
    }
  });
});
