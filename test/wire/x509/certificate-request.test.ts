import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { createAuthority } from '../../../lab/management-server/certificate.ts';
import { certificateRequest } from '../../../src/wire/x509/certificate-request.ts';
import { objectId } from '../../../src/wire/x509/der.ts';
import { requirePeer } from '../../support/peers.ts';

describe('certificate requests', () => {
  const { privateKey: key } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const request = (addresses: readonly string[], commonName = 'csbm-1'): string =>
    certificateRequest({ key, commonName, organization: 'cloudstack', addresses });

  /** What openssl says of a request; it ends well also when the signature is wrong. */
  function openssl(args: readonly string[], input: string | Buffer): string {
    const { stdout, stderr } = spawnSync('openssl', ['req', '-verify', '-noout', ...args], { input });
    return `${stdout.toString()}${stderr.toString()}`;
  }

  it('are what openssl takes: signed with their key, with subject and addresses', function () {
    requirePeer(this, 'openssl');
    const addresses = ['192.0.2.10', '2001:db8::a:1', '::1', '::ffff:10.0.0.1'];
    const said = openssl(['-text', '-nameopt', 'utf8'], request(addresses, 'höst-日本'));
    assert.match(said, /verify OK/);
    assert.match(said, /Version: 1 \(0x0\)/);
    assert.match(said, /Subject: O ?= ?cloudstack, CN ?= ?höst-日本/);
    assert.match(said, /sha256WithRSAEncryption/);
    assert.match(
      said,
      /Requested Extensions:\s+X509v3 Subject Alternative Name: *\s+IP Address:192\.0\.2\.10, IP Address:2001:DB8:0:0:0:0:A:1, IP Address:0:0:0:0:0:0:0:1, IP Address:0:0:0:0:0:FFFF:A00:1\s/,
    );
  });

  it('are not taken when a bit of them was changed', function () {
    requirePeer(this, 'openssl');
    const der = Buffer.from(request(['192.0.2.10']).replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
    assert.match(openssl(['-inform', 'DER'], der), /verify OK/);
    der[der.indexOf('csbm-1')]! ^= 1;
    assert.match(openssl(['-inform', 'DER'], der), /verify failure/);
  });

  it('carry every address as the certificate then has it', () => {
    const authority = createAuthority();
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.oneof(fc.ipV4(), fc.ipV6()), { minLength: 1, maxLength: 4 }),
        (addresses) => {
          const certificate = new X509Certificate(authority.issueFor(request(addresses), []).pem);
          for (const address of addresses) assert.ok(certificate.checkIP(address), address);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('refuse what is no address', () => {
    for (const address of ['example.org', '', '10.0.0', 'fe80::1%eth0', '[::1]'])
      assert.throws(() => request([address]), RangeError, address);
  });

  it('have object ids of several bytes (X.690, 8.19.5)', () => {
    assert.equal(objectId('1.2.840.113549').toString('hex'), '06062a864886f70d');
    assert.equal(objectId('2.5.4.3').toString('hex'), '0603550403');
  });
});
