import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, type Certificate } from '../../lab/management-server/certificate.ts';
import { seconds } from '../../plugin-api/index.ts';
import { ManualClock } from '../../src/kernel/clock/manual-clock.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { TlsFiles } from '../../src/kernel/net/tls-files.ts';

// Files that could not even be looked at for a moment (a folder whose rights are just being changed, a link that leads nowhere sensible)
// ended the looking for good, without a word: the next renewal was not seen, and the certificate expired. SIGHUP at that moment ended the service.
it('a certificate that was out of sight for a while is read when it is back', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'csbm-tls-'));
  const [certFile, keyFile] = [join(folder, 'server.pem'), join(folder, 'server.key')];
  const authority = createAuthority('csbm test CA');
  const put = ({ pem, keyPem }: Certificate): void => {
    writeFileSync(certFile, pem);
    writeFileSync(keyFile, keyPem);
  };
  const clock = new ManualClock(Date.now());
  let log = '';
  const destination = { write: (line: string) => void (log += line) };
  try {
    put(authority.issue('first', ['127.0.0.1']));
    const files = new TlsFiles({ certFile, keyFile, clock, log: createLog({ level: 'info', destination }) });
    const given: string[] = [];
    files.serve({ setSecureContext: ({ cert }) => void given.push(String(cert)) });
    files.watch();
    const passes = async (): Promise<void> => {
      await clock.advance(seconds(11));
      await new Promise((resolve) => setImmediate(resolve));
    };

    unlinkSync(certFile);
    symlinkSync(certFile, certFile);
    await passes();
    // As at SIGHUP.
    files.look();
    assert.match(log, /new certificate cannot be used; the old one stays/);
    assert.match(log, /ELOOP/);
    unlinkSync(certFile);
    const second = authority.issue('second', ['127.0.0.1']);
    put(second);
    await passes();
    assert.deepEqual(given, [second.pem]);
    files.stop();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
