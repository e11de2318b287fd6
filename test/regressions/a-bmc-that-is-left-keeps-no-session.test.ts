import assert from 'node:assert/strict';
import { LabBmc } from '../../lab/bmc/lab-bmc.ts';
import { StandaloneHost } from '../../lab/bmc/standalone-host.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { AdminService, bmcPassword, enrolment } from '../api/admin/admin-service.ts';
import { until } from '../support/until.ts';

/**
 * Sessions are kept alive. That with the BMC of a machine that was forgotten, or got another address, was kept alive until the service
 * stopped, and held one of the few places of a BMC that was somebody else's by then.
 */
describe("regression: a BMC that is no longer a machine's", () => {
  const service = new AdminService();
  const newBmc = (): LabBmc =>
    new LabBmc({
      host: new StandaloneHost({ clock: new SystemClock() }),
      traits: { users: [{ name: 'admin', password: bmcPassword, level: 3 }] },
    });
  const [first, second] = [newBmc(), newBmc()];
  let addresses: readonly { readonly host: string; readonly port: number }[];

  before(async () => {
    await service.start();
    addresses = await Promise.all(
      [first, second].map(async (bmc) => ({ host: '127.0.0.1', port: (await bmc.listen()).port })),
    );
  });
  after(async () => {
    await service.dispose();
    await Promise.all([first.close(), second.close()]);
  });

  const enrolAt = async (n: number): Promise<void> => {
    const bmc = { ...addresses[n], username: 'admin', password: bmcPassword };
    const { status, text } = await service.post('/machines', enrolment(1, { bmc }));
    assert.ok(status < 300, text);
  };

  it('is left when its machine has another one, and when its machine is forgotten', async () => {
    await enrolAt(0);
    await until(() => first.sessionsUsed === 1, 'a session with the first');
    await enrolAt(1);
    await until(() => second.sessionsUsed === 1, 'a session with the second');
    await until(() => first.sessionsUsed === 0, 'the end of the session with the first', 8_000);
    const gone = await service.call('DELETE', '/machines/node-1', { body: { reason: 'scrapped' } });
    assert.ok(gone.status < 300, gone.text);
    await until(() => second.sessionsUsed === 0, 'the end of the session with the second', 8_000);
  });
});
