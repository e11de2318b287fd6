import assert from 'node:assert/strict';
import { get } from 'node:http';
import { AdminService } from '../api/admin/admin-service.ts';

// It listened before it could answer, and said 404 meanwhile: a ramdisk in the middle of an install, which had asked again
// and again while the service was down, took that for the end of its order.
it('nobody is refused by a boot service that is just starting', async function () {
  this.timeout(60_000);
  const first = new AdminService();
  await first.start();
  const { port } = new URL(first.bootUrl);
  await first.dispose();
  const service = new AdminService('{port: 0}', '', `{port: ${port}}`);
  const url = `http://127.0.0.1:${port}/boot/v1/agent/order`;
  /** The status, or null where nobody listens. */
  const ask = (): Promise<number | null> =>
    new Promise((resolve) => {
      const headers = { authorization: 'Bearer of-no-order' };
      get(url, { agent: false, headers }, (answer) => {
        answer.resume().on('end', () => resolve(answer.statusCode ?? null));
      }).on('error', () => resolve(null));
    });
  const starting = { over: false };
  const seen = new Set<number | null>();
  const asking = (async () => {
    while (!starting.over) seen.add(await ask());
    seen.add(await ask());
  })();
  try {
    await service.start();
  } finally {
    starting.over = true;
    await asking;
    await service.dispose();
  }
  assert.ok(seen.has(401), [...seen].join());
  assert.deepEqual(
    [...seen].filter((status) => status !== null && ![401, 503].includes(status)),
    [],
  );
});
