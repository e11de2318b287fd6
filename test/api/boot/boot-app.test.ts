import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rmSync, truncateSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { milliseconds } from '../../../plugin-api/index.ts';
import { parseByteRange } from '../../../src/api/boot/byte-range.ts';
import { tempStorage, type TempStorage } from '../../support/temp-storage.ts';
import { commissionOrder, deployOrder, inventoried, machineOf } from '../../operations/boot/boot-samples.ts';
import {
  bootFolder,
  inOnePiece,
  request,
  startBootFloor,
  type Answer,
  type BootFloor,
  type Call,
} from './boot-floor.ts';
import { closed } from '../../support/closed.ts';

// Its first byte begins no known format.
const image = Buffer.concat([Buffer.alloc(1), randomBytes(700_000)]);
const sha256 = createHash('sha256').update(image).digest('hex');
const scriptPath = '/boot/v1/script?mac=52-54-00-AA-00-01&platform=pcbios&arch=i386&uuid=u&serial=M%201';

describe('boot service over HTTP', () => {
  let temp: TempStorage;
  let folder: ReturnType<typeof bootFolder>;
  let floor: BootFloor;

  beforeEach(async () => {
    temp = await tempStorage();
    folder = bootFolder();
    await temp.storage.run((tx) => tx.machines.insert(machineOf()));
    floor = await startBootFloor({ storage: temp.storage, folder: folder.folder });
  });

  afterEach(async () => {
    await floor.close();
    await temp.close();
    folder.remove();
  });

  const call = (path: string, options?: Call): Promise<Answer> => request(floor.base, path, options);
  const script = async (path = scriptPath): Promise<string> => (await call(path)).body.toString();
  const code = (answer: Answer): string =>
    (JSON.parse(answer.body.toString()) as { error: { code: string } }).error.code;

  /** A token as a machine gets it: placed, armed, asked for. */
  async function tokenFor(order = deployOrder()): Promise<string> {
    await floor.boots.place(order);
    await temp.storage.run((tx) => floor.boots.arm(tx, order.id));
    return /csbm\.token=(\S+)/.exec(await script())![1]!;
  }

  async function imageToken(): Promise<string> {
    await floor.images.add(
      { name: 'tiny', canBond: true, firstBoot: 'nocloud', aliases: [] },
      inOnePiece(image),
    );
    return tokenFor();
  }
  const agent = (token: string, path: string, options: Call = {}): Promise<Answer> =>
    call(`/boot/v1/agent/${path}`, {
      ...options,
      headers: { authorization: `Bearer ${token}`, ...options.headers },
    });
  const post = (token: string, path: string, body: unknown): Promise<Answer> =>
    agent(token, path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) });

  describe('scripts', () => {
    it('begin with a static one that asks for the decision', async () => {
      const { status, body } = await call('/boot.ipxe');
      assert.equal(status, 200);
      assert.match(body.toString(), /^#!ipxe\n/);
      assert.ok(
        body
          .toString()
          .includes(
            `chain --replace ${floor.base}/boot/v1/script?mac=\${netX/mac:hexhyp}&platform=\${platform}&arch=\${buildarch}&uuid=\${uuid}&serial=\${serial:uristring} ||\n`,
          ),
      );
    });

    it('load the ramdisk for an armed order, with URL, token and MAC', async () => {
      await floor.boots.place(deployOrder());
      await temp.storage.run((tx) => floor.boots.arm(tx, 'op-1:deploy'));
      const answer = await call(scriptPath);
      assert.equal(answer.headers['cache-control'], 'no-store');
      const text = answer.body.toString();
      assert.match(text, /^#!ipxe\n/);
      assert.match(
        text,
        new RegExp(
          `^kernel ${floor.base}/boot/v1/ramdisk/vmlinuz initrd=initrd csbm\\.url=${floor.base} csbm\\.token=[A-Za-z0-9_-]{43} csbm\\.mac=52:54:00:aa:00:01 console=ttyS0,115200 `,
          'm',
        ),
      );
      assert.match(text, new RegExp(`^initrd --name initrd ${floor.base}/boot/v1/ramdisk/initrd `, 'm'));
      assert.match(text, /^boot/m);
    });

    it('power off without a token: second asker, unknown machine, no MAC, nonsense', async () => {
      await tokenFor();
      for (const path of [
        scriptPath,
        '/boot/v1/script?mac=52:54:00:99:99:99&platform=efi',
        '/boot/v1/script',
        '/boot/v1/script?mac=zz',
        '/boot/v1/script?mac=00:00:00:00:00:00',
        '/boot/v1/script?mac=52:54:00:aa:00:01&mac=52:54:00:aa:00:02',
        '/boot/v1/script?mac[]=1',
        '/boot/v1/script?mac=%E0%A4%A',
      ]) {
        const answer = await call(path);
        assert.equal(answer.status, 200, path);
        assert.match(answer.body.toString(), /^#!ipxe\n/);
        assert.match(answer.body.toString(), /^poweroff/m, path);
        assert.doesNotMatch(answer.body.toString(), /token/);
      }
    });

    it('boot a deployed machine from its disk, as its firmware needs it', async () => {
      await temp.storage.run(async (tx) => {
        const machine = await tx.machines.findByHostname('m1');
        await tx.machines.update({ ...machine!, state: 'deployed' });
      });
      assert.match(await script(), /^sanboot --no-describe --drive 0x80$/m);
      assert.match(await script(scriptPath.replace('pcbios', 'efi')), /^exit$/m);
    });

    it('are not decided by HEAD, which would spend the only token', async () => {
      await floor.boots.place(deployOrder());
      await temp.storage.run((tx) => floor.boots.arm(tx, 'op-1:deploy'));
      assert.equal((await call(scriptPath, { method: 'HEAD' })).status, 405);
      assert.match(await script(), /csbm\.token=/);
    });

    it('ask again later when storage is out of order', async () => {
      await temp.storage.close();
      const answer = await call(scriptPath);
      assert.equal(answer.status, 200);
      assert.match(answer.body.toString(), /^chain --replace \S+\/boot\.ipxe/m);
    });
  });

  describe('agent calls', () => {
    const calls: readonly (readonly [string, string])[] = [
      ['GET', 'order'],
      ['GET', 'image'],
      ['HEAD', 'image'],
      ['GET', 'first-boot/user-data'],
      ['POST', 'progress'],
      ['POST', 'log'],
      ['POST', 'result'],
      ['GET', 'nothing'],
    ];

    for (const [method, path] of calls) {
      it(`${method} ${path} needs a valid token`, async () => {
        await imageToken();
        const bodies = method === 'POST' ? { body: '{}' } : {};
        const bare = await call(`/boot/v1/agent/${path}`, { method, ...bodies });
        assert.equal(bare.status, 401);
        assert.equal(bare.headers['www-authenticate'], 'Bearer');
        for (const authorization of [
          'Bearer ',
          'Bearer x',
          `Bearer ${'A'.repeat(43)}`,
          'Basic Og==',
          'A'.repeat(43),
        ]) {
          const answer = await call(`/boot/v1/agent/${path}`, {
            method,
            headers: { authorization },
            ...bodies,
          });
          assert.equal(answer.status, 401, authorization);
        }
      });
    }

    it('give the order with URLs that the machine can use', async () => {
      const token = await tokenFor();
      const answer = await agent(token, 'order');
      assert.equal(answer.status, 200);
      const order = JSON.parse(answer.body.toString()) as {
        image: { url: string };
        firstBoot: { files: { url: string }[] };
      };
      assert.equal(order.image.url, `${floor.base}/boot/v1/agent/image`);
      assert.equal(order.firstBoot.files[0]?.url, `${floor.base}/boot/v1/agent/first-boot/user-data`);
      const seed = await agent(token, 'first-boot/user-data');
      assert.equal(seed.body.toString(), '#cloud-config\n{}\n');
    });

    it('answer 410 when the order is over, and the same result again with 200', async () => {
      const token = await tokenFor(commissionOrder());
      assert.equal((await post(token, 'progress', { activity: 'looking', percent: null })).status, 200);
      for (let time = 0; time < 2; time += 1) {
        const ended = await post(token, 'result', inventoried);
        assert.equal(ended.status, 200);
        assert.deepEqual(JSON.parse(ended.body.toString()), { then: 'power-off' });
      }
      for (const [method, path] of calls.filter(([, p]) => p !== 'result' && p !== 'nothing')) {
        const body = path === 'log' ? 'x' : '{"activity":"x","percent":1}';
        const answer = await agent(token, path, { method, ...(method === 'POST' && { body }) });
        assert.equal(answer.status, 410, path);
      }
      assert.equal(
        (await post(token, 'result', { ok: false, error: { code: 'agent', said: 'x' } })).status,
        410,
      );
    });

    it('refuse messages that are not what the protocol says, changing nothing', async () => {
      const token = await tokenFor();
      await agent(token, 'order');
      for (const body of [
        '',
        'x',
        '[]',
        '{}',
        '{"activity":1}',
        '{"activity":"x","percent":101}',
        '{"activity":"x","percent":"1"}',
      ]) {
        const answer = await post(token, 'progress', body);
        assert.equal(answer.status, 400, body);
        assert.equal(code(answer), 'request.invalid');
      }
      assert.equal((await floor.boots.progress('op-1:deploy'))?.activity, 'agent started');
    });

    it('end the order at a result that cannot be read', async () => {
      const token = await tokenFor();
      const answer = await post(token, 'result', { ok: true, deploy: { disk: 'vda' } });
      assert.equal(answer.status, 400);
      const progress = await floor.boots.progress('op-1:deploy');
      assert.equal(progress?.error?.code, 'deploy.agent-failed');
      assert.match(progress.error.said, /deploy\.serial/);
    });

    it('refuse bodies that are too large or compressed', async () => {
      const token = await tokenFor();
      assert.equal((await post(token, 'progress', 'x'.repeat(17 * 1024))).status, 413);
      assert.equal((await post(token, 'log', 'x'.repeat(64 * 1024))).status, 200);
      assert.equal((await post(token, 'log', 'x'.repeat(64 * 1024 + 1))).status, 413);
      assert.equal((await post(token, 'result', 'x'.repeat(1024 * 1024 + 1))).status, 413);
      const headers = { 'content-encoding': 'gzip' };
      assert.equal((await agent(token, 'log', { method: 'POST', body: 'x', headers })).status, 415);
      assert.equal((await floor.boots.progress('op-1:deploy'))?.state, 'running');
    });

    it('take a NIC without Ethernet address for none, and say so of nothing else', async () => {
      const token = await tokenFor(commissionOrder());
      assert.ok(inventoried.ok && inventoried.inventory);
      const { inventory } = inventoried;
      const infiniband = { name: 'ib0', mac: '80:00:00:48:fe:80:00:00:00:00:00:00:e4', linkUp: true };
      const nics = [{ ...inventory.nics[0], speedMbps: -1 }, infiniband];
      assert.equal(
        (await post(token, 'result', { ok: true, inventory: { ...inventory, nics } })).status,
        200,
      );
      assert.deepEqual((await floor.boots.progress('op-1:commission'))?.inventory, inventory);
    });

    it('survive any JSON as a result', async () => {
      await fc.assert(
        fc.asyncProperty(fc.json(), async (json) => {
          const token = await tokenFor();
          assert.equal((await post(token, 'result', json)).status, 400);
          assert.equal((await floor.boots.progress('op-1:deploy'))?.state, 'failed');
        }),
        { numRuns: 40 },
      );
    });
  });

  describe('image', () => {
    it('comes whole, with length, strong validator and checksum', async () => {
      const token = await imageToken();
      for (const method of ['GET', 'HEAD']) {
        const { status, headers, body } = await agent(token, 'image', { method });
        assert.equal(status, 200);
        assert.equal(headers['content-length'], String(image.length));
        assert.equal(headers['etag'], `"${sha256}"`);
        assert.equal(headers['x-csbm-sha256'], sha256);
        assert.equal(headers['accept-ranges'], 'bytes');
        assert.ok(body.equals(method === 'GET' ? image : Buffer.alloc(0)));
      }
    });

    it('comes in ranges', async () => {
      const token = await imageToken();
      const ranges: readonly [string, number, number][] = [
        ['bytes=0-0', 0, 0],
        ['bytes=5-', 5, image.length - 1],
        ['bytes=262143-262145', 262_143, 262_145],
        ['bytes=-10', image.length - 10, image.length - 1],
        ['bytes=700000-900000', 700_000, 700_000],
        ['bytes=-9999999', 0, image.length - 1],
      ];
      for (const [range, start, end] of ranges) {
        const { status, headers, body } = await agent(token, 'image', { headers: { range } });
        assert.equal(status, 206, range);
        assert.equal(headers['content-range'], `bytes ${start}-${end}/${image.length}`);
        assert.ok(body.equals(image.subarray(start, end + 1)), range);
      }
    });

    it('answers 416 behind the end, and whole for what is no single range', async () => {
      const token = await imageToken();
      for (const range of [`bytes=${image.length}-`, 'bytes=-0']) {
        const beyond = await agent(token, 'image', { headers: { range } });
        assert.equal(beyond.status, 416, range);
        assert.equal(beyond.headers['content-range'], `bytes */${image.length}`);
      }
      for (const range of ['bytes=0-1,5-6', 'bytes=5-2', 'bytes=x', 'lines=1-2', '']) {
        assert.equal((await agent(token, 'image', { headers: { range } })).status, 200, range);
      }
    });

    it('resumes only from the same file', async () => {
      const token = await imageToken();
      const rest = (ifRange: string): Promise<Answer> =>
        agent(token, 'image', { headers: { range: 'bytes=10-', 'if-range': ifRange } });
      assert.equal((await rest(`"${sha256}"`)).status, 206);
      for (const other of ['"another"', `W/"${sha256}"`, sha256, 'Sat, 21 Nov 2026 22:00:00 GMT'])
        assert.equal((await rest(other)).status, 200, other);
    });

    it('is not served when its file is damaged or gone: 503, and the agent may ask again', async () => {
      const token = await imageToken();
      const { path } = (await floor.images.file('tiny'))!;
      truncateSync(path, 100);
      assert.equal((await agent(token, 'image')).status, 503);
      rmSync(path);
      const answer = await agent(token, 'image');
      assert.equal(answer.status, 503);
      assert.doesNotMatch(answer.body.toString(), /csbm-boot-/);
    });

    it('breaks off, and goes on elsewhere, when a client goes away', async () => {
      const token = await imageToken();
      const { port } = new URL(floor.base);
      for (let time = 0; time < 20; time += 1) {
        const socket = net.connect(Number(port), '127.0.0.1');
        socket.write(
          `GET /boot/v1/agent/image HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`,
        );
        await once(socket, 'data');
        socket.destroy();
        await once(socket, 'close');
      }
      assert.ok((await agent(token, 'image')).body.equals(image));
    });

    it('comes to many at once', async () => {
      const token = await imageToken();
      const answers = await Promise.all(Array.from({ length: 30 }, () => agent(token, 'image')));
      assert.ok(answers.every((answer) => answer.body.equals(image)));
    });
  });

  describe('ramdisk', () => {
    it('comes to anyone, in ranges too', async () => {
      const whole = await call('/boot/v1/ramdisk/vmlinuz');
      assert.equal(whole.status, 200);
      assert.equal(whole.body.toString(), 'kernel '.repeat(100));
      assert.match(whole.headers['etag'] ?? '', /^"[0-9a-f]+-[0-9a-f]+"$/);
      const part = await call('/boot/v1/ramdisk/initrd', { headers: { range: 'bytes=0-5' } });
      assert.deepEqual([part.status, part.body.toString()], [206, 'initrd']);
      const head = await call('/boot/v1/ramdisk/initrd', { method: 'HEAD' });
      assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, '7000', 0]);
    });

    it('is answered 503 with the reason while it is not built', async () => {
      rmSync(join(folder.folder, 'ramdisk', 'initrd'));
      const answer = await call('/boot/v1/ramdisk/initrd');
      assert.equal(answer.status, 503);
      assert.match(answer.body.toString(), /initrd is missing on the server; build the ramdisk/);
    });

    for (const path of [
      '/boot/v1/ramdisk/..',
      '/boot/v1/ramdisk/../images',
      '/boot/v1/ramdisk/..%2f..%2f..%2fetc%2fpasswd',
      '/boot/v1/ramdisk/%2e%2e/%2e%2e/etc/passwd',
      '/boot/v1/ramdisk//etc/passwd',
      '/boot/v1/ramdisk/vmlinuz%00',
      '/boot/v1/ramdisk/vmlinuz/',
      '/boot/v1/ramdisk/VMLINUZ',
      '/boot/v1/ramdisk/%E0%A4%A',
      '/boot/v1/ramdisk/',
      '/../../etc/passwd',
      '/boot.ipxe/',
      '/',
    ]) {
      it(`has nothing at ${path}`, async () => {
        const { status, body } = await call(path);
        assert.ok(status === 404 || status === 400, String(status));
        assert.doesNotMatch(body.toString(), /root:|csbm-boot-|at .*\.ts/);
      });
    }
  });

  it('answers every request and stays up, whatever is asked', async () => {
    const token = await tokenFor();
    const word = fc.oneof(
      fc.constantFrom(
        'boot',
        'v1',
        'agent',
        'image',
        'order',
        'first-boot',
        'ramdisk',
        '..',
        'script',
        '%2e',
        '%',
        '%zz',
      ),
      fc.webFragments(),
    );
    const path = fc.array(word, { maxLength: 7 }).map((words) => `/${words.join('/')}`);
    const method = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH');
    const header = fc.stringMatching(/^[bytes=\-0-9, "xW/]{0,30}$/);
    await fc.assert(
      fc.asyncProperty(path, method, header, fc.string(), async (where, how, value, body) => {
        const answer = await agent(token, '', {
          method: how,
          headers: { range: value, 'if-range': value, 'content-type': 'application/json' },
          ...(how === 'POST' && { body }),
        });
        assert.ok(answer.status < 500, String(answer.status));
        const other = await call(where, {
          method: how,
          headers: { authorization: `Bearer ${token}`, range: value },
        });
        assert.ok(other.status < 500, `${how} ${where}: ${other.status}`);
      }),
      { numRuns: 150 },
    );
    assert.equal((await call('/boot.ipxe')).status, 200);
  });

  it('writes no token to its log', async () => {
    const token = await imageToken();
    await agent(token, 'order');
    await agent(token, 'image', { headers: { range: 'bytes=0-9' } });
    await post(token, 'log', `my token is ${token}`);
    await post(token, 'progress', token);
    await post(token, 'result', '{"ok":true}');
    await post(token, 'result', token);
    await call(scriptPath);
    assert.match(floor.logged(), /boot request/);
    assert.ok(!floor.logged().includes(token));
    const record = await temp.storage.run((tx) => tx.boots.find('op-1:deploy'));
    assert.ok(!JSON.stringify(record).includes(token));
  });

  it('closes connections that are slow with their request, or on which nothing moves', async () => {
    await floor.close();
    floor = await startBootFloor({
      storage: temp.storage,
      folder: folder.folder,
      limits: {
        headersTimeout: milliseconds(200),
        requestTimeout: milliseconds(400),
        idleTimeout: milliseconds(300),
      },
    });
    const { port } = new URL(floor.base);
    for (const sent of [
      '',
      'GET /boot.ipxe HTTP/1.1\r\nhost: x\r\n',
      'POST /boot/v1/agent/log HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nab',
    ]) {
      const socket = net.connect(Number(port), '127.0.0.1');
      socket.resume();
      socket.write(sent);
      await closed(socket);
    }
  });

  it('refuses headers that are too long', async () => {
    const answer = await call('/boot.ipxe', { headers: { x: 'y'.repeat(9000) } });
    assert.equal(answer.status, 431);
  });
});

describe('byte range', () => {
  it('is always within the file, and what was asked for', () => {
    fc.assert(
      fc.property(fc.nat(50), fc.option(fc.nat(60)), fc.option(fc.nat(60)), (size, first, last) => {
        const range = parseByteRange(`bytes=${first ?? ''}-${last ?? ''}`, size);
        if (range === null || range === 'unsatisfiable') return;
        assert.ok(0 <= range.start && range.start <= range.end && range.end < size);
        if (first !== null) assert.equal(range.start, first);
        else assert.equal(range.end, size - 1);
        if (first !== null && last !== null) assert.ok(range.end <= last);
      }),
    );
  });

  it('is nothing for any other text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!/^\s*bytes\s*=/i.test(text));
        assert.equal(parseByteRange(text, 10), null);
      }),
    );
  });
});
