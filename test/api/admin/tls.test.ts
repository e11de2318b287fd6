import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';
import { once } from 'node:events';
import { createAuthority, type Certificate } from '../../../lab/management-server/certificate.ts';
import { csbm, type Ended } from '../../cli/run-csbm.ts';
import { requirePeer } from '../../support/peers.ts';
import { until } from '../../support/until.ts';
import { AdminService } from './admin-service.ts';

const authority = createAuthority('csbm test CA');
const first = authority.issue('csbm first', ['127.0.0.1']);

function program(name: string, args: readonly string[], stdin = ''): Promise<Ended> {
  const child = spawn(name, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => undefined).end(stdin);
  const closed = once(child, 'close') as Promise<[number | null]>;
  return Promise.all([text(child.stdout), text(child.stderr), closed]).then(([out, err, [code]]) => ({
    out,
    err,
    code,
  }));
}

describe('admin API: TLS', () => {
  const tls = '{port: 0, tls: {certFile: server.pem, keyFile: server.key}}';
  const service = new AdminService(tls, '', tls);
  const file = (name: string): string => join(service.folder, name);
  const put = ({ pem, keyPem }: Certificate): void => {
    // As careful administrators do it: each file complete, or not there yet.
    for (const [name, content] of [
      ['server.key', keyPem],
      ['server.pem', pem],
    ] as const) {
      writeFileSync(file(`${name}.new`), content, { mode: 0o600 });
      renameSync(file(`${name}.new`), file(name));
    }
  };
  before(async () => {
    writeFileSync(file('ca.pem'), authority.pem);
    put(first);
    await service.start();
  });
  after(() => service.dispose());

  const port = (): number => Number(new URL(service.url).port);
  /** The name in the certificate that a new connection is shown. */
  const shown = async (): Promise<string> => {
    const socket = connect({ port: port(), host: '127.0.0.1', ca: authority.pem });
    await once(socket, 'secureConnect');
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    return String(CN);
  };

  it('says that it is there by https', () => {
    assert.match(service.url, /^https:\/\/127\.0\.0\.1:\d+$/);
  });

  it('the boot service speaks TLS too where it is told to, and names itself so to machines', async function () {
    requirePeer(this, 'curl');
    assert.match(service.bootUrl, /^https:/);
    const { code, out, err } = await program('curl', [
      '-sS',
      '--cacert',
      file('ca.pem'),
      `${service.bootUrl}/boot.ipxe`,
    ]);
    assert.equal(code, 0, err);
    assert.ok(out.includes(service.bootUrl), out);
  });

  it('curl trusts it by its CA, and nobody without', async function () {
    requirePeer(this, 'curl');
    const good = await program('curl', ['-sS', '--cacert', file('ca.pem'), `${service.url}/healthz`]);
    assert.equal(good.code, 0, good.err);
    assert.equal((JSON.parse(good.out) as { ok: boolean }).ok, true);
    const bad = await program('curl', ['-sS', `${service.url}/healthz`]);
    assert.equal(bad.code, 60, bad.err);
    const plain = await program('curl', ['-sS', service.url.replace('https:', 'http:')]);
    assert.notEqual(plain.code, 0);
  });

  it('openssl s_client verifies the chain at TLS 1.2 and 1.3; older versions get nothing', async function () {
    requirePeer(this, 'openssl');
    const ask = (...args: string[]): Promise<Ended> =>
      program(
        'openssl',
        [
          's_client',
          '-connect',
          `127.0.0.1:${port()}`,
          '-CAfile',
          file('ca.pem'),
          '-verify_return_error',
          ...args,
        ],
        'Q\n',
      );
    for (const version of ['-tls1_2', '-tls1_3']) {
      const { code, out, err } = await ask(version);
      assert.equal(code, 0, err);
      assert.match(out, /Verify return code: 0 \(ok\)/);
    }
    // At its lowest security level this openssl itself would still speak it.
    const old = await ask('-tls1_1', '-cipher', 'ALL:@SECLEVEL=0');
    assert.notEqual(old.code, 0);
    assert.match(old.err, /protocol version|no protocols available|unsupported protocol/);
  });

  describe('csbm', () => {
    const status = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
      csbm(['status', ...args], {
        cwd: service.folder,
        env: { CSBM_TOKEN_FILE: service.tokenFile, ...env },
      });

    it('finds it by csbm.yaml, and trusts it by --ca or CSBM_CA', async () => {
      for (const ended of [
        await status(['--ca', 'ca.pem', '--url', service.url]),
        await status(['--url', service.url], { CSBM_CA: 'ca.pem' }),
        await status(['--ca', 'ca.pem'], { CSBM_HTTP_PORT: String(port()) }),
      ]) {
        assert.equal(ended.code, 0, ended.err);
        assert.match(ended.out, /https:\/\/127\.0\.0\.1/);
      }
    });

    it('trusts nobody else: says so, and what to do; the token stays here', async () => {
      const other = createAuthority('somebody else');
      writeFileSync(file('other.pem'), other.pem);
      for (const args of [[], ['--ca', 'other.pem']]) {
        const { code, err } = await status([...args, '--url', service.url]);
        assert.equal(code, 1);
        assert.match(err, /not trusted \[service\.untrusted\]/);
        assert.match(err, /it said: .*certificate/);
        assert.match(err, /to do: .*--ca FILE or CSBM_CA/);
      }
      // The certificate is for the address, not for the name.
      const named = await status(['--ca', 'ca.pem', '--url', `https://localhost:${port()}`]);
      assert.match(named.err, /service\.untrusted/);
    });

    it('with --insecure it believes any, and warns', async () => {
      const { code, out, err } = await status(['--insecure', '--url', service.url]);
      assert.equal(code, 0, err);
      assert.match(err, /warning: --insecure/);
      assert.match(out, /operations/);
    });

    it('a CA file that is none is told before anything is sent', async () => {
      writeFileSync(file('empty.pem'), '');
      for (const name of ['empty.pem', 'absent.pem']) {
        const { code, err } = await status(['--ca', name, '--url', service.url]);
        assert.equal(code, 1);
        assert.match(err, new RegExp(`cli\\.failed[\\s\\S]*${name}`));
      }
    });

    it('uploads and follows over TLS too', async () => {
      const { writeFile } = await import('node:fs/promises');
      const disk = Buffer.alloc(64 * 1024, 7);
      disk.writeUInt16LE(0xaa55, 510);
      await writeFile(file('disk.raw'), disk);
      const added = await csbm(
        ['image', 'add', 'disk.raw', '--name', 'tiny', '--ca', 'ca.pem', '--url', service.url],
        {
          cwd: service.folder,
          env: { CSBM_TOKEN_FILE: service.tokenFile },
        },
      );
      assert.equal(added.code, 0, added.err);
      const refused = await csbm(['image', 'add', 'disk.raw', '--name', 'more', '--url', service.url], {
        cwd: service.folder,
        env: { CSBM_TOKEN_FILE: service.tokenFile },
      });
      assert.match(refused.err, /service\.untrusted/);
    });
  });

  it('shows a new certificate to new connections, without a restart; those that are there stay', async () => {
    assert.equal(await shown(), 'csbm first');
    const old = connect({ port: port(), host: '127.0.0.1', ca: authority.pem });
    await once(old, 'secureConnect');
    put(authority.issue('csbm second', ['127.0.0.1']));
    await until(async () => (await shown()) === 'csbm second', 'the new certificate');
    old.write('GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    assert.match(await text(old), /^HTTP\/1\.1 200 /);
  });

  it('what cannot be used is told in the log, and the last good one stays', async () => {
    const other = authority.issue('csbm third', ['127.0.0.1']);
    // The certificate comes first, its key later: half of a renewal.
    writeFileSync(file('server.pem'), other.pem);
    service.reload();
    await until(() => /is not the key of the certificate/.test(service.log), 'the complaint');
    assert.equal(await shown(), 'csbm second');
    const complaints = service.log.split('is not the key of the certificate').length;
    service.reload();
    assert.equal(service.log.split('is not the key of the certificate').length, complaints, 'told once');
    writeFileSync(file('server.key'), other.keyPem);
    service.reload();
    assert.equal(await shown(), 'csbm third');
    for (const secret of [first.keyPem, other.keyPem])
      assert.ok(!service.log.includes(secret.split('\n')[2]!));
  });
});

describe('admin API: TLS files that cannot be used', () => {
  const cases: readonly (readonly [string, (folder: string) => void, RegExp])[] = [
    [
      'a missing certificate',
      (folder) => writeFileSync(join(folder, 'server.key'), first.keyPem),
      /server\.pem cannot be read \(ENOENT\)/,
    ],
    [
      'a missing key',
      (folder) => writeFileSync(join(folder, 'server.pem'), first.pem),
      /server\.key cannot be read \(ENOENT\)/,
    ],
    [
      'a key of another certificate',
      (folder) => {
        writeFileSync(join(folder, 'server.pem'), first.pem);
        writeFileSync(join(folder, 'server.key'), authority.keyPem);
      },
      /server\.key is not the key of the certificate in .*server\.pem/,
    ],
    [
      'no certificate',
      (folder) => {
        writeFileSync(join(folder, 'server.pem'), 'hello');
        writeFileSync(join(folder, 'server.key'), first.keyPem);
      },
      /server\.pem holds no certificate/,
    ],
    [
      'no key',
      (folder) => {
        writeFileSync(join(folder, 'server.pem'), first.pem);
        writeFileSync(join(folder, 'server.key'), first.pem);
      },
      /server\.key holds no private key/,
    ],
  ];
  for (const [name, arrange, complaint] of cases)
    it(`${name}: the start is refused, naming the file and what to do`, async () => {
      const service = new AdminService('{port: 0, tls: {certFile: server.pem, keyFile: server.key}}');
      try {
        arrange(service.folder);
        await assert.rejects(service.start(), (error: Error) => {
          assert.match(error.message, complaint);
          assert.match(error.message, /certFile and keyFile[\s\S]*\[config\.invalid\]/);
          assert.ok(!error.message.includes('PRIVATE KEY'));
          return true;
        });
      } finally {
        await service.dispose();
      }
    });
});
