import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MaasService } from '../api/maas/maas-service.ts';

// Each request that was refused before its body was read left its listeners, and itself with them, on the connection until that closed:
// one connection without a token could fill the memory.
describe('many refusals on one connection', function () {
  this.timeout(30_000);
  const service = new MaasService();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const warnings: string[] = [];
  const hear = ({ name }: Error): void => void warnings.push(name);
  before(() => service.start());
  after(async () => {
    process.off('warning', hear);
    agent.destroy();
    await service.dispose();
  });

  const post = (url: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json' };
      const asked = request(url, { method: 'POST', agent, headers }, (answer) => {
        answer.resume().once('end', () => resolve(answer.statusCode ?? 0));
      });
      asked.once('error', reject).end('{"reason":""}');
    });

  it('leave nothing behind there', async () => {
    process.on('warning', hear);
    const statuses = new Set<number>();
    for (let i = 0; i < 30; i += 1) {
      statuses.add(await post(`${service.admin.url}/api/v1/machines/none/quarantine`));
      statuses.add(await post(`${service.admin.url}/nothing`));
    }
    assert.ok(
      [...statuses].every((status) => status >= 400),
      [...statuses].join(),
    );
    await nextTurn();
    assert.deepEqual(warnings, []);
  });
});
