import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { milliseconds, minutes, Secret } from '../../../plugin-api/index.ts';
import { createAuthority, type Certificate } from '../../../lab/management-server/certificate.ts';
import { setupCertificateCommand, setupKeyStoreCommand } from '../../../lab/management-server/commands.ts';
import type {
  LabManagementServer,
  LabManagementServerOptions,
} from '../../../lab/management-server/lab-management-server.ts';
import type { LabAnswer } from '../../../lab/management-server/agent-connection.ts';
import {
  FileCredentials,
  type CertificateStatus,
  type FileCredentialsOptions,
} from '../../../src/api/cloudstack-agent/cloud-credentials.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { textField } from '../../../src/wire/cloudstack/gson-reader.ts';
import { AgentHarness, authority, facts } from './agent-harness.ts';

const days = (count: number) => minutes(count * 24 * 60);

describe('agent link: our own certificate', () => {
  let harness: AgentHarness;
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'csbm-agent-'));
    harness = new AgentHarness();
    writeFileSync(file('ca.pem'), authority().pem);
  });
  afterEach(async () => {
    await harness.close();
    rmSync(folder, { recursive: true });
    assert.ok(!harness.logLines.some((line) => line.includes('PRIVATE KEY')), 'no key in the log');
  });

  const file = (name: string): string => path.join(folder, name);
  const provisioned = (): string => file('cloudstack-agent.pem');

  function credentials(change: Partial<FileCredentialsOptions> = {}): FileCredentials {
    return new FileCredentials({
      trust: { caFile: file('ca.pem') },
      files: null,
      provisionedFile: provisioned(),
      addresses: [],
      warnBefore: days(15),
      clock: new SystemClock(),
      log: harness.log,
      ...change,
    });
  }

  const files = () => ({ certificateFile: file('agent.pem'), keyFile: file('agent.key') });

  /** Replaces certificate and key as an operator does: one file after the other. */
  function put({ pem, keyPem }: Certificate): void {
    writeFileSync(file('agent.pem'), pem);
    writeFileSync(file('agent.key'), keyPem);
  }

  async function connected(
    from: FileCredentials,
    options: LabManagementServerOptions = {},
  ): Promise<{ readonly server: LabManagementServer; readonly hostId: bigint }> {
    const server = await harness.server(options);
    await harness.connect(server, { endpoint: { credentials: from } });
    const { hostId } = await server.waitForHost(facts.guid);
    return { server, hostId };
  }

  async function requestOf(server: LabManagementServer, hostId: bigint): Promise<string> {
    const [answer] = await server.send(hostId, [setupKeyStoreCommand()]);
    assert.equal(answer!.className, 'org.apache.cloudstack.ca.SetupKeystoreAnswer');
    assert.equal(answer!.result, true, answer!.details ?? '');
    return textField(answer!.fields, 'csr')!;
  }

  async function bring(server: LabManagementServer, hostId: bigint, pem: string): Promise<LabAnswer> {
    const [answer] = await server.send(hostId, [setupCertificateCommand(pem, authority().pem)]);
    assert.equal(answer!.className, 'org.apache.cloudstack.ca.SetupCertificateAnswer');
    return answer!;
  }

  it('is asked for and taken over the link, and opens a strict server, also to the next process', async () => {
    const mine = credentials({ addresses: ['192.0.2.77'] });
    const { server, hostId } = await connected(mine);
    assert.equal(mine.status().state, 'none');
    const csr = await requestOf(server, hostId);
    const { pem } = authority().issueFor(csr, ['10.9.8.7'], 365);
    const answer = await bring(server, hostId, pem);
    assert.equal(answer.result, true, answer.details ?? '');
    const names = new X509Certificate(pem).subjectAltName!;
    assert.match(names, /127\.0\.0\.1/, 'our source address');
    assert.match(names, /192\.0\.2\.77/, 'the address behind NAT, as configured');
    assert.equal(statSync(provisioned()).mode & 0o777, 0o600);
    const { state, source, expiresAt } = mine.status();
    assert.deepEqual([state, source], ['good', 'provisioned']);
    assert.equal(expiresAt, Date.parse(new X509Certificate(pem).validTo));

    await harness.disconnect();
    for (const again of [mine, credentials()]) {
      const strict = await harness.server({ strict: true });
      await harness.connect(strict, { endpoint: { credentials: again } });
      await strict.waitForHost(facts.guid);
      await harness.disconnect();
    }
  });

  it('may be asked for by many hosts at once: the last one that came is used, all fit the key', async () => {
    const mine = credentials();
    const { server, hostId } = await connected(mine);
    const [one, two] = await Promise.all([requestOf(server, hostId), requestOf(server, hostId)]);
    const first = authority().issueFor(one, ['10.0.0.1']).pem;
    const second = authority().issueFor(two, ['10.0.0.2']).pem;
    assert.equal((await bring(server, hostId, first)).result, true);
    assert.equal((await bring(server, hostId, second)).result, true);
    assert.match(
      new X509Certificate((await mine.current()).identity!.certificatePem).subjectAltName!,
      /10\.0\.0\.2/,
    );
    const renewed = authority().issueFor(await requestOf(server, hostId), []).pem;
    assert.equal((await bring(server, hostId, renewed)).result, true);
    assert.notEqual(
      new X509Certificate(renewed).publicKey.export({ type: 'spki', format: 'pem' }),
      new X509Certificate(first).publicKey.export({ type: 'spki', format: 'pem' }),
      'a renewal has a new key',
    );
  });

  it('that is not what was asked for is refused with the reason, and the old one stays', async () => {
    const mine = credentials();
    const { server, hostId } = await connected(mine);
    const early = await bring(server, hostId, authority().issue('csbm', ['127.0.0.1']).pem);
    assert.equal(early.result, false);
    assert.match(early.details ?? '', /does not belong to the key.*\[agent\.identity\]/);
    assert.equal(
      (await bring(server, hostId, authority().issueFor(await requestOf(server, hostId), []).pem)).result,
      true,
    );
    const kept = readFileSync(provisioned(), 'utf8');
    const csr = await requestOf(server, hostId);
    const cases: readonly (readonly [string, RegExp])[] = [
      [authority().issue('csbm', ['127.0.0.1']).pem, /does not belong to the key/],
      [createAuthority().issueFor(csr, []).pem, /not signed by the pinned CA/],
      [authority().issueFor(csr, [], -2).pem, /expired already/],
      ['-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n', /cannot be read/],
    ];
    for (const [pem, reason] of cases) {
      const answer = await bring(server, hostId, pem);
      assert.equal(answer.result, false);
      assert.match(answer.details ?? '', reason);
    }
    const elsewhere = credentials();
    const other = authority().issueFor(await elsewhere.requestCertificate(['192.0.2.1']), []).pem;
    await assert.rejects(elsewhere.installCertificate(other, ['127.0.0.1']), /names none of our addresses/);
    assert.equal(readFileSync(provisioned(), 'utf8'), kept);
    const [empty] = await server.send(hostId, [setupCertificateCommand('', '')]);
    assert.equal(empty!.result, false);
  });

  it('from files is the operator’s: none is taken over the link', async () => {
    put(authority().issue('csbm', ['127.0.0.1']));
    const { server, hostId } = await connected(credentials({ files: files() }), { strict: true });
    const [answer] = await server.send(hostId, [setupKeyStoreCommand()]);
    assert.equal(answer!.className, 'org.apache.cloudstack.ca.SetupKeystoreAnswer');
    assert.equal(answer!.result, false);
    assert.match(answer!.details ?? '', /clientCertFile/);
  });

  it('is read again when its files changed, without a restart', async () => {
    put(authority().issue('csbm', ['192.0.2.1']));
    const mine = credentials({ files: files() });
    const server = await harness.server({ strict: true });
    await harness.connect(server, { endpoint: { credentials: mine } });
    await harness.reached('waiting');
    put(authority().issue('csbm', ['127.0.0.1']));
    await server.waitForHost(facts.guid);
  });

  it('and the pin are read again when they changed', async () => {
    const next = createAuthority();
    const moved = await harness.server({ authority: next });
    await harness.connect(moved, { endpoint: { credentials: credentials() } });
    await harness.logged(/agent\.certificate/);
    writeFileSync(file('ca.pem'), next.pem);
    await moved.waitForHost(facts.guid);
  });

  it('half replaced is not used: the last good one is, and it is told', async () => {
    const good = authority().issue('csbm', ['127.0.0.1']);
    put(good);
    const mine = credentials({ files: files() });
    await mine.current();
    writeFileSync(file('agent.pem'), authority().issue('csbm', ['127.0.0.1']).pem);
    assert.equal((await mine.current()).identity!.certificatePem, good.pem);
    assert.equal(mine.status().state, 'unusable');
    assert.match(mine.status().warning!, /private key does not belong to the certificate/);
    writeFileSync(file('ca.pem'), 'no certificate');
    assert.ok('pin' in (await mine.current()).trust);
    // Nothing to fall back on: refused, and told why.
    await assert.rejects(credentials({ files: files() }).current(), { code: 'agent.identity' });
  });

  it('that cannot be used at all is refused with the reason', async () => {
    const reasons: readonly (readonly [() => void, RegExp])[] = [
      [() => rmSync(file('agent.pem')), /agent\.pem is not there/],
      [() => rmSync(file('agent.key')), /agent\.key is not there/],
      [() => writeFileSync(file('agent.key'), 'x'), /private key cannot be read/],
      [() => writeFileSync(file('agent.pem'), 'x'), /certificate cannot be read/],
      [() => rmSync(file('ca.pem')), /ca\.pem is not there/],
      [() => writeFileSync(file('ca.pem'), 'x'), /ca\.pem cannot be read as a certificate/],
    ];
    const good = authority().issue('csbm', ['127.0.0.1']);
    for (const [spoil, reason] of reasons) {
      put(good);
      writeFileSync(file('ca.pem'), authority().pem);
      spoil();
      await assert.rejects(credentials({ files: files() }).current(), (error: Error) => {
        assert.match(error.message, reason);
        return true;
      });
    }
    writeFileSync(file('ca.pem'), authority().pem);
    writeFileSync(provisioned(), createPrivateKey(good.keyPem).export({ type: 'pkcs8', format: 'pem' }));
    await assert.rejects(credentials().current(), /has no certificate/);
  });

  it('is warned of before its end, once a day, and told to be expired after it', async () => {
    const seen: CertificateStatus[] = [];
    const watch = async (mine: FileCredentials, looks: number): Promise<void> => {
      const over = new AbortController();
      await mine.watch(milliseconds(1), over.signal, (status) => {
        seen.push(status);
        if (seen.length === looks) over.abort(new Error('seen'));
      });
    };
    put(authority().issue('csbm', ['127.0.0.1'], 10));
    await watch(credentials({ files: files() }), 3);
    assert.deepEqual(
      seen.map(({ state }) => state),
      ['expiring', 'expiring', 'expiring'],
    );
    assert.match(seen[0]!.warning!, /expires at 20.*, in 9 days: renew it/);
    const warnings = (): string[] => harness.logLines.filter((line) => line.includes('needs attention'));
    assert.equal(warnings().length, 1);
    assert.equal(credentials({ files: files(), warnBefore: days(5) }).status().state, 'none', 'not read yet');
    const relaxed = credentials({ files: files(), warnBefore: days(5) });
    await relaxed.current();
    assert.deepEqual([relaxed.status().state, relaxed.status().warning], ['good', null]);

    seen.length = 0;
    put(authority().issue('csbm', ['127.0.0.1'], -1));
    await watch(credentials({ files: files() }), 1);
    assert.equal(seen[0]!.state, 'expired');
    assert.match(warnings().at(-1)!, /"level":50.*expired at/);
  });

  it('expired is what a broken handshake is blamed on, in the log and in the state of the link', async () => {
    put(authority().issue('csbm', ['127.0.0.1'], -1));
    const server = await harness.server({ strict: true });
    server.behaviours.allowExpired = false;
    await harness.connect(server, { endpoint: { credentials: credentials({ files: files() }) } });
    const { reason } = await harness.reached('waiting');
    assert.match(reason ?? '', /expired at .*\[agent\.identity\]/);
    // CloudStack's own default lets such a one in.
    server.behaviours.allowExpired = true;
    await server.waitForHost(facts.guid);
  });

  it('a key that was touched but not changed is read again and is the same', async () => {
    const mine = credentials();
    await mine.requestCertificate(['127.0.0.1']);
    const pem = authority().issueFor(await mine.requestCertificate(['127.0.0.1']), []).pem;
    await mine.installCertificate(pem, ['127.0.0.1']);
    utimesSync(provisioned(), new Date(1_000), new Date(1_000));
    chmodSync(provisioned(), 0o400);
    const { identity } = await mine.current();
    assert.ok(identity!.keyPem instanceof Secret);
    assert.equal(String(identity!.keyPem), '***');
  });
});
