import assert from 'node:assert/strict';
import { maasRefusals } from '../../docs/maas-compatibility.ts';
import { MaasService } from './maas-service.ts';

describe('MAAS API: compatibility', () => {
  const maas = new MaasService();
  before(() => maas.start());
  after(() => maas.dispose());

  it('what the compatibility page says is refused is refused, in words that clients know', async () => {
    for (const { path, actions } of maasRefusals)
      for (const action of actions) {
        const [method = '', op] = action.split(' ');
        const address = path.replaceAll(/\{\w+\}/g, '1') + (op === undefined ? '' : `?op=${op}`);
        const { status, text } = await maas.call(method, address);
        const refusal = `${status} ${text}`;
        assert.match(
          refusal,
          /^(404 Unknown API endpoint|405 |400 Unrecognised signature)/,
          `${action} ${path}`,
        );
      }
  });
});
