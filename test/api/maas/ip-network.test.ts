import assert from 'node:assert/strict';
import { BlockList, isIP } from 'node:net';
import fc from 'fast-check';
import {
  contains,
  formatAddress,
  parseAddress,
  parseNetwork,
  usable,
} from '../../../src/api/maas/ip-network.ts';

const v4 = fc.ipV4();
const v6 = fc.ipV6();

describe('MAAS API: networks of addresses', () => {
  it('read back what they write, in one spelling', () => {
    fc.assert(
      fc.property(fc.oneof(v4, v6), (text) => {
        const { family, value } = parseAddress(text)!;
        const written = formatAddress(value, family);
        assert.equal(isIP(written), family);
        assert.deepEqual(parseAddress(written), { family, value });
        assert.equal(formatAddress(parseAddress(written)!.value, family), written);
      }),
    );
  });

  it('contain what node thinks they contain', () => {
    const pair = fc.oneof(
      fc.tuple(v4, fc.integer({ min: 0, max: 32 }), v4),
      fc.tuple(v6, fc.integer({ min: 0, max: 128 }), v6),
    );
    fc.assert(
      fc.property(pair, fc.boolean(), ([host, prefix, other], near) => {
        const network = parseNetwork(`${host}/${prefix}`)!;
        const family = network.family === 4 ? 'ipv4' : 'ipv6';
        const block = new BlockList();
        block.addSubnet(host, prefix, family);
        const address = near ? formatAddress(network.last, network.family) : other;
        assert.equal(contains(network, address), block.check(address, family));
        const [first, last] = usable(network);
        assert.ok(first >= network.first && last <= network.last && first <= last);
      }),
    );
  });

  it('are written without the bits behind the prefix', () => {
    assert.equal(parseNetwork('10.1.2.3/16')?.cidr, '10.1.0.0/16');
    assert.equal(parseNetwork('2001:DB8::1/32')?.cidr, '2001:db8::/32');
    assert.equal(parseNetwork('::ffff:192.0.2.1/128')?.cidr, '::ffff:c000:201/128');
    for (const wrong of [
      '10.0.0.0',
      '10.0.0.0/33',
      '10.0.0/8',
      'x/8',
      '10.0.0.0/8/8',
      '::/129',
      'fe80::1%eth0/64',
      '',
    ])
      assert.equal(parseNetwork(wrong), null, wrong);
  });
});
