import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { until } from '../support/until.ts';
import { AdminService } from '../api/admin/admin-service.ts';

const directToken = 'a-token-of-the-direct-door';

describe('rates, at every door', function () {
  this.timeout(60_000);
  const service = new AdminService(
    undefined,
    [
      'limits: {requestsPerSecond: 1, requestsAtOnce: 15, bootsPerSecond: 1, bootsAtOnce: 4, failedLogins: 3, bodyMemoryMiB: 16}',
      'maas: {enabled: true, port: 0}',
      'cloudstack: {direct: {enabled: true, port: 0, token: "file:./direct.token"}}',
      '',
    ].join('\n'),
  );
  before(async () => {
    writeFileSync(join(service.folder, 'direct.token'), directToken);
    await service.start();
  });
  after(() => service.dispose());

  const retryAfter = (response: Response): number => Number(response.headers.get('retry-after'));
  const asked = async (times: number, ask: () => Promise<Response>): Promise<readonly Response[]> => {
    const answers: Response[] = [];
    for (let i = 0; i < times; i += 1) answers.push(await ask());
    return answers;
  };

  it('admin API: a principal that asks without end is told when to come again; another one is served', async () => {
    const other = (await service.post('/principals', { name: 'other', role: 'viewer', scope: '*' })).json
      .token;
    const health = (token: string): Promise<Response> =>
      fetch(`${service.url}/api/v1/health`, { headers: { authorization: `Bearer ${token}` } });
    const refused = (await asked(40, () => health(service.token))).filter(({ status }) => status === 429);
    assert.ok(refused.length > 10);
    assert.ok(refused.every((response) => retryAfter(response) >= 1));
    const body = (await refused[0]!.json()) as { error: { code: string } };
    assert.equal(body.error.code, 'request.too-many');
    assert.equal((await health(other)).status, 200);
  });

  it('boot service: a MAC address that asks without end is told to come again in a while; another one gets its decision', async () => {
    const script = async (mac: string): Promise<string> =>
      (await fetch(`${service.bootUrl}/boot/v1/script?mac=${mac}`)).text();
    const said = new Set<string>();
    for (let i = 0; i < 12; i += 1) said.add(await script('52:54:00:00:00:01'));
    assert.ok(
      [...said].some((one) => one.includes('boot.ipxe')),
      'it is told to begin again',
    );
    assert.doesNotMatch(await script('52:54:00:00:00:02'), /boot\.ipxe/);
  });

  it('boot service: an agent that asks without end gets a 503, which it repeats, and no 4xx, which would end its order', async () => {
    const token = 'A'.repeat(43);
    const answers = await asked(12, () =>
      fetch(`${service.bootUrl}/boot/v1/agent/order`, { headers: { authorization: `Bearer ${token}` } }),
    );
    const [first, last] = [answers[0]!, answers.at(-1)!];
    assert.deepEqual([first.status, last.status], [401, 503]);
    assert.ok(retryAfter(last) >= 1);
  });

  it('direct door: wrong tokens wait, and the right one is let in at the same time', async () => {
    const ask = (token: string): Promise<Response> =>
      fetch(`${service.directUrl}/cloudstack/direct/hosts/none/status`, {
        headers: { authorization: `Bearer ${token}` },
      });
    const answers = await asked(6, () => ask('wrong'));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [401, 401, 401, 429, 429, 429],
    );
    assert.ok(retryAfter(answers[5]!) >= 1);
    assert.equal((await ask(directToken)).status, 404);
  });

  it('MAAS API: strangers’ unfinished bodies have little room, and nobody known needs it', async () => {
    const sockets: Socket[] = [];
    const port = Number(new URL(service.maasUrl).port);
    try {
      for (let i = 0; i < 20; i += 1) {
        const socket = connect(port, '127.0.0.1').on('error', () => undefined);
        await once(socket, 'connect');
        socket.write(
          'POST /MAAS/accounts/authenticate/ HTTP/1.1\r\nhost: x\r\ncontent-length: 65536\r\n\r\n',
        );
        socket.write('a'.repeat(65_000));
        sockets.push(socket);
      }
      await until(async () => {
        const response = await fetch(`${service.maasUrl}/MAAS/accounts/authenticate/`, {
          method: 'POST',
          body: 'b'.repeat(65_000),
        });
        await response.text();
        return response.status === 503 && retryAfter(response) >= 1;
      }, 'the room to be taken');
      assert.equal((await fetch(`${service.maasUrl}/MAAS/api/2.0/version/`)).status, 200);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  });
});
