import assert from 'node:assert/strict';
import { Secret } from '../../plugin-api/index.ts';
import { Fields } from '../../src/api/maas/fields.ts';
import { MaasRefusal } from '../../src/api/maas/maas-refusal.ts';
import { powerJson, readPower, withPower } from '../../src/api/maas/power-parameters.ts';

const read = (address: string, more: Readonly<Record<string, string>> = {}) =>
  readPower(
    new Fields(
      Object.entries({ power_address: address, ...more }).map(([k, v]) => [`power_parameters_${k}`, v]),
    ),
  );

// The last group of an IPv6 address was taken for a port: another BMC would have been switched. Ports beyond 65535 and anything at all
// were taken, and failed at the first power command.
describe('the power address over the MAAS API', () => {
  for (const [address, host, port] of [
    ['10.0.0.1', '10.0.0.1', 623],
    ['10.0.0.1:6230', '10.0.0.1', 6230],
    ['bmc-1.example.org', 'bmc-1.example.org', 623],
    ['2001:db8::10:1234', '2001:db8::10:1234', 623],
    ['2001:db8::1', '2001:db8::1', 623],
    ['[2001:db8::10]', '2001:db8::10', 623],
    ['[2001:db8::10]:1623', '2001:db8::10', 1623],
  ] as const)
    it(`${address} is ${host} port ${port}, and is told so that it is read the same`, () => {
      const said = read(address);
      assert.deepEqual([said.host, said.port], [host, port]);
      const bmc = { ...withPower(null, said)!, knownSuite: null };
      const told = powerJson({ bmc, firmware: 'legacy' })['power_address']!;
      const again = read(told);
      assert.deepEqual([again.host, again.port], [host, port]);
    });

  for (const address of [
    '10.0.0.1:0',
    '10.0.0.1:99999',
    'a b',
    '[10.0.0.1]',
    '[::1',
    'x:y',
    'h/;x',
    'x'.repeat(300),
  ])
    it(`${address.slice(0, 20)} is refused`, () =>
      assert.throws(
        () => read(address),
        (thrown) => thrown instanceof MaasRefusal && thrown.status === 400,
      ));

  it('comes with a user and a password that IPMI can carry, and null is nothing said', () => {
    for (const more of [{ power_user: 'x'.repeat(17) }, { power_pass: 'x'.repeat(21) }])
      assert.throws(() => read('10.0.0.1', more), MaasRefusal);
    const fields = new Fields([
      ['power_parameters', '{"power_address":"10.0.0.1","power_pass":null,"k_g":null}'],
    ]);
    const bmc = withPower(null, readPower(fields))!;
    assert.deepEqual([bmc.password.reveal(), bmc.kg], [new Secret('').reveal(), null]);
  });
});
