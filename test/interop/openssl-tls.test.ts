import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { LabManagementServer } from '../../lab/management-server/lab-management-server.ts';
import { AgentHarness, authority, facts, fixed } from '../api/cloudstack-agent/agent-harness.ts';
import { requirePeer } from '../support/peers.ts';

async function openssl(
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly out: string }> {
  const child = spawn('openssl', args);
  child.stdin.end('Q\n');
  const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return { code, out: out + err };
}

describe('interop: openssl against the lab management server', () => {
  let server: LabManagementServer;
  before(async function () {
    requirePeer(this, 'openssl');
    server = new LabManagementServer({ authority: authority() });
    await server.start();
  });
  after(async () => {
    await (server as LabManagementServer | undefined)?.stop();
  });

  const client = (...more: string[]): Promise<{ readonly code: number | null; readonly out: string }> =>
    openssl(['s_client', '-connect', `127.0.0.1:${server.address.port}`, ...more]);

  it('completes a raw TLS 1.2 handshake and is shown the CA certificate itself', async () => {
    const { code, out } = await client('-tls1_2');
    assert.equal(code, 0, out);
    assert.match(out, /Protocol *: TLSv1\.2/);
    assert.match(out, /Cipher *: \S+/);
    assert.match(out, /subject=.*ca\.cloudstack\.apache\.org/);
    assert.match(out, /Secure Renegotiation IS supported/);
    const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(out)![0];
    assert.equal(pem, authority().pem.trim());
    await server.until('the connection to end', () => (server.connections === 0 ? true : undefined));
  });

  it('cannot have TLS 1.3, which the framing does not carry', async () => {
    const { code, out } = await client('-tls1_3');
    assert.notEqual(code, 0);
    assert.match(out, /alert protocol version/);
  });

  it('refuses that certificate for a server, as it refuses the real one', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'csbm-openssl-'));
    try {
      const file = join(folder, 'ca.pem');
      await writeFile(file, authority().pem);
      const verdict = await openssl(['verify', '-purpose', 'sslserver', '-CAfile', file, file]);
      assert.notEqual(verdict.code, 0);
      assert.match(verdict.out, /unsuitable certificate purpose/);
      const refused = await client('-tls1_2', '-CAfile', file, '-verify_return_error');
      assert.notEqual(refused.code, 0);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('leaves the server unharmed: an agent connects afterwards', async () => {
    const harness = new AgentHarness();
    try {
      await harness.service.add({
        machineId: 'abc123',
        facts,
        hostId: null,
        endpoint: { servers: [server.address], credentials: fixed() },
      });
      await server.waitForHost(facts.guid);
    } finally {
      await harness.close();
    }
  });
});
