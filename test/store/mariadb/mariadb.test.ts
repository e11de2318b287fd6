import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createConnection } from 'mysql2';
import { milliseconds, Secret } from '../../../plugin-api/index.ts';
import { Deferred } from '../../../src/kernel/concurrency/deferred.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import { createLog } from '../../../src/kernel/log/log.ts';
import { openStorage, type SqlStorage } from '../../../src/store/open-storage.ts';
import type { MariadbOptions } from '../../../src/store/open-mariadb.ts';
import { MariadbServer } from '../../support/mariadb-server.ts';
import { requirePeer } from '../../support/peers.ts';
import { until } from '../../support/until.ts';
import { runChild, type Child } from '../children/run-child.ts';
import { rejectsWith } from '../rejects-with.ts';
import { boot, deployment, machine, machineId, operation, port, switchRecord } from '../samples.ts';
import { CuttingProxy } from './cutting-proxy.ts';

describe('storage on MariaDB', function () {
  this.timeout(60_000);
  const key = randomBytes(32).toString('base64');
  let server: MariadbServer;
  let started = false;
  let database: string;
  let count = 0;
  const opened: SqlStorage[] = [];
  const children: Child[] = [];

  before(async function () {
    requirePeer(this, 'mariadbd');
    server = await MariadbServer.start({ port: true });
    started = true;
    await server.ask(
      `CREATE USER csbm@localhost IDENTIFIED BY 'database-password';
       CREATE USER csbm@'127.0.0.1' IDENTIFIED BY 'database-password';`,
    );
  });
  after(async () => {
    if (started) await server.stop();
  });

  beforeEach(async () => {
    database = `csbm_${(count += 1)}`;
    // As a server makes it whose administrator says nothing of collations, with the rights that docs/database.md asks for.
    await server.ask(
      `CREATE DATABASE ${database} CHARACTER SET latin1;
       GRANT ALL PRIVILEGES ON ${database}.* TO csbm@localhost;
       GRANT ALL PRIVILEGES ON ${database}.* TO csbm@'127.0.0.1';`,
    );
  });
  afterEach(async () => {
    for (const child of children.splice(0)) await child.kill();
    for (const storage of opened.splice(0)) await storage.close();
  });

  const lease = (name: string) => ({ name, kind: 'single', owner: null, lost: false, notes: 0 }) as const;

  const options = (): MariadbOptions => ({
    type: 'mariadb',
    place: { socket: server.socket },
    database,
    user: 'csbm',
    password: new Secret('database-password'),
    key: { base64: new Secret(key) },
  });
  const open = async (more: Partial<MariadbOptions> = {}): Promise<SqlStorage> => {
    const storage = await openStorage({ ...options(), ...more, clock: new SystemClock() });
    opened.push(storage);
    return storage;
  };
  const overTcp = (at: number): Partial<MariadbOptions> => ({
    place: { host: '127.0.0.1', port: at, tls: null },
  });
  const root = (): string => JSON.stringify({ ...options(), user: 'root', password: undefined });

  describe('opening', () => {
    it('is safe for three processes that start together on an empty database', async () => {
      const started = [1, 2, 3].map(() => runChild('writer.ts', [root(), key]));
      children.push(...started);
      for (const child of started) assert.equal((await child.lines.next()).value, 'open');
      const [made] = await server.ask('SELECT COUNT(*) AS n FROM migration', database);
      const [different] = await server.ask('SELECT COUNT(DISTINCT name) AS n FROM migration', database);
      assert.deepEqual(made, different);
      assert.deepEqual(await server.ask('SELECT COUNT(*) AS n FROM secret_key', database), [{ n: 1 }]);
    });

    it('is safe for many in one process, again and again', async () => {
      for (let round = 0; round < 2; round += 1) {
        const storages = await Promise.all([open(), open(), open()]);
        await Promise.all(storages.map((storage) => storage.run((tx) => tx.machines.list())));
      }
    });

    it('does not wait for ever for another that is at it', async () => {
      const other = createConnection({ socketPath: server.socket, user: 'root' });
      try {
        await new Promise((resolve, reject) => {
          const name = `CONCAT('csbm.', LEFT(SHA2('${database}', 256), 32))`;
          other.query(`SELECT GET_LOCK(${name}, 1)`, (error, rows) =>
            error ? reject(error) : resolve(rows),
          );
        });
        await rejectsWith(open({ migrationWait: milliseconds(1_000) }), 'store.locked');
      } finally {
        other.destroy();
      }
      await open();
    });

    it('refuses a wrong password, saying so, and never the password', async () => {
      const error = await rejectsWith(
        open({ password: new Secret('database-passw0rd') }),
        'store.unavailable',
      );
      assert.equal(error.retry, 'operator');
      assert.match(error.message, /store\.mariadb: user, password/);
      assert.ok(!JSON.stringify(error).includes('passw0rd'));
    });

    it('refuses a database that has tables of somebody else', async () => {
      await server.ask('CREATE TABLE other (id INT)', database);
      const error = await rejectsWith(open(), 'store.unavailable');
      assert.match(error.message, /empty database/);
    });

    it('refuses another key than the one that the database knows', async () => {
      await (await open()).close();
      const other = { base64: new Secret(randomBytes(32).toString('base64')) };
      await rejectsWith(open({ key: other }), 'store.secret');
      await open();
    });

    it('waits for a server that is still starting', async () => {
      await server.end();
      const opening = open();
      await server.begin();
      await (await opening).run((tx) => tx.machines.list());
    });

    it('tells when the server does not come', async () => {
      await server.end();
      try {
        const error = await rejectsWith(open({ patience: milliseconds(300) }), 'store.unavailable');
        assert.equal(error.retry, 'later');
      } finally {
        await server.begin();
      }
    });
  });

  describe('units of work side by side', () => {
    it('lose no update of the same record', async () => {
      const storage = await open();
      await storage.run((tx) => tx.machines.insert(machine(1)));
      const raise = (): Promise<unknown> =>
        storage.run(async (tx) => {
          const now = (await tx.machines.find(machineId(1)))!;
          await tx.machines.update({ ...now, cpus: now.cpus + 1 });
        });
      const before = (await storage.run((tx) => tx.machines.find(machineId(1))))!;
      // As many as win within the runs that one may have.
      const results = await Promise.allSettled([raise(), raise(), raise()]);
      const won = results.filter(({ status }) => status === 'fulfilled').length;
      const after = (await storage.run((tx) => tx.machines.find(machineId(1))))!;
      assert.equal(won, 3);
      assert.deepEqual([after.cpus, after.version], [before.cpus + 3, before.version + 3]);
    });

    it('tell a conflict with what the caller knew before', async () => {
      const storage = await open();
      await storage.run((tx) => tx.machines.insert(machine(1)));
      const read = (await storage.run((tx) => tx.machines.find(machineId(1))))!;
      await storage.run((tx) => tx.machines.update({ ...read, cpus: 1 }));
      await rejectsWith(
        storage.run((tx) => tx.machines.update({ ...read, cpus: 2 })),
        'store.conflict',
      );
    });

    it('go on when two wait for each other: one is run again', async () => {
      const storage = await open();
      await storage.run((tx) => tx.leases.insert(['first', 'second'].map(lease)));
      const [one, two] = [new Deferred<undefined>(), new Deferred<undefined>()];
      let runs = 0;
      const noteBoth = (first: string, second: string, mine: typeof one, other: typeof one): Promise<void> =>
        storage.run(async (tx) => {
          runs += 1;
          await tx.leases.note(first);
          mine.resolve(undefined);
          await other.promise;
          await tx.leases.note(second);
        });
      await Promise.all([noteBoth('first', 'second', one, two), noteBoth('second', 'first', two, one)]);
      assert.equal(runs, 3);
      for (const name of ['first', 'second'])
        assert.equal((await storage.run((tx) => tx.leases.find(name)))?.notes, 2);
    });

    it('store nothing of a run that the database gave up, whoever caught the failure', async () => {
      const storage = await open();
      await storage.run((tx) => tx.leases.insert(['first', 'second'].map(lease)));
      const [one, two] = [new Deferred<undefined>(), new Deferred<undefined>()];
      let runs = 0;
      const careless = (first: string, second: string, mine: typeof one, other: typeof one): Promise<void> =>
        storage.run(async (tx) => {
          const run = (runs += 1);
          await tx.leases.note(first);
          mine.resolve(undefined);
          await other.promise;
          await tx.leases.note(second).catch(() => undefined);
          const alarm = { id: `run-${run}`, at: 1, code: 'x', machineId: null, text: 't' };
          await tx.alarms.insert(alarm).catch(() => undefined);
        });
      await Promise.all([careless('first', 'second', one, two), careless('second', 'first', two, one)]);
      assert.equal(runs, 3);
      assert.equal((await storage.run((tx) => tx.alarms.list(9))).length, 2);
      for (const name of ['first', 'second'])
        assert.equal((await storage.run((tx) => tx.leases.find(name)))?.notes, 2);
    });

    it('wait for a row no longer than they shall, and are told so in the end', async () => {
      const storage = await open({ lockWait: milliseconds(1_000) });
      await storage.run((tx) => tx.leases.insert([lease('first')]));
      const held = new Deferred<undefined>();
      const free = new Deferred<undefined>();
      const holding = storage.run(async (tx) => {
        await tx.leases.note('first');
        held.resolve(undefined);
        await free.promise;
      });
      await held.promise;
      const waiting = storage.run((tx) => tx.leases.note('first'));
      await until(
        async () =>
          Number((await server.ask(`SHOW STATUS LIKE 'Innodb_row_lock_current_waits'`))[0]?.['Value']) > 0,
        'the second to wait',
      );
      free.resolve(undefined);
      await holding;
      await waiting;
      assert.equal((await storage.run((tx) => tx.leases.find('first')))?.notes, 2);
    });

    it('give a machine to exactly one of many, in several processes’ pools', async () => {
      const [a, b] = [await open(), await open()];
      await a.run((tx) => tx.machines.insert(machine(1)));
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, (_, i) =>
          (i % 2 ? a : b).run((tx) => tx.journal.insert(operation(`op-${i}`, 1))),
        ),
      );
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
      for (const result of results)
        if (result.status === 'rejected')
          assert.equal((result.reason as { code: string }).code, 'store.conflict');
    });

    it('keep the newest reading of a port, whoever comes last', async () => {
      const storage = await open();
      const place = { switch: 'tor-a', port: port('te1/1') };
      await storage.run((tx) =>
        tx.ports.desire({
          ...place,
          machineId: null,
          purpose: 'tenant',
          desired: { native: null, tagged: [], admin: 'down' } as never,
        }),
      );
      await Promise.all(
        Array.from({ length: 12 }, (_, n) =>
          storage.run((tx) =>
            tx.ports.observe({ ...place, observed: { n } as never, observedVersion: n % 3, observedAt: n }),
          ),
        ),
      );
      const seen = await storage.run((tx) => tx.ports.find(place.switch, place.port));
      assert.deepEqual([seen?.observed, seen?.observedAt, seen?.observedVersion], [{ n: 11 }, 11, 2]);
    });
  });

  describe('when the connection breaks', () => {
    it('a unit runs again on another connection', async () => {
      const storage = await open();
      let runs = 0;
      await storage.run(async (tx) => {
        runs += 1;
        await tx.machines.insert(machine(1));
        if (runs === 1) {
          const mine = await server.ask(
            `SELECT id FROM information_schema.processlist WHERE user = 'csbm' AND db = '${database}'`,
          );
          await server.ask(mine.map(({ id }) => `KILL ${Number(id)}`).join('; '));
        }
        await tx.machines.insert(machine(2));
      });
      assert.equal(runs, 2);
      assert.equal((await storage.run((tx) => tx.machines.list())).length, 2);
    });

    it('at COMMIT, it is told that nobody knows', async () => {
      const proxy = await CuttingProxy.start(server.port!);
      try {
        const storage = await open(overTcp(proxy.port));
        for (const [cut, stored] of [
          ['before', false],
          ['after', true],
        ] as const) {
          const n = stored ? 2 : 1;
          // Its COMMIT is waited for, and so those of the units that only read and came before it on the connection.
          await storage.run((tx) => tx.leases.note('quiet'));
          proxy.cut = cut;
          const error = await rejectsWith(
            storage.run((tx) => tx.machines.insert(machine(n))),
            'store.outcome-unknown',
          );
          assert.match(error.message, /may be stored or not/);
          proxy.cut = 'never';
          await until(
            async () => ((await storage.run((tx) => tx.machines.find(machineId(n)))) !== null) === stored,
            `the outcome of the unit cut ${cut} its COMMIT`,
          );
        }
        assert.equal(proxy.cuts, 2);
      } finally {
        for (const storage of opened.splice(0)) await storage.close();
        await proxy.stop();
      }
    });

    it('at the COMMIT of a unit that only read, nobody notices', async () => {
      const proxy = await CuttingProxy.start(server.port!);
      try {
        const storage = await open(overTcp(proxy.port));
        proxy.cut = 'before';
        assert.deepEqual(await storage.run((tx) => tx.machines.list()), []);
        await until(() => proxy.cuts > 0, 'the cut');
        proxy.cut = 'never';
        assert.deepEqual(await storage.run((tx) => tx.machines.list()), []);
        await storage.run((tx) => tx.machines.insert(machine(1)));
      } finally {
        for (const storage of opened.splice(0)) await storage.close();
        await proxy.stop();
      }
    });

    it('units wait for a server that starts anew, and nothing acknowledged is lost', async () => {
      const child = runChild('writer.ts', [root(), key, '1000']);
      children.push(child);
      assert.equal((await child.lines.next()).value, 'open');
      const storage = await open();
      let acknowledged = 0;
      for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
        for (let i = 0; i < 20; i += 1) acknowledged = Number((await child.lines.next()).value);
        await server.end(signal);
        const meanwhile = storage.run((tx) => tx.alarms.list(1));
        await server.begin();
        assert.equal((await meanwhile).length, 1);
      }
      for (let i = 0; i < 20; i += 1) acknowledged = Number((await child.lines.next()).value);
      const alarms = await storage.run((tx) => tx.alarms.list(100_000));
      const ids = new Set(alarms.map(({ id }) => id));
      for (let n = 1_000; n <= acknowledged; n += 1)
        assert.ok(ids.has(`a-${n}`) && ids.has(`b-${n}`), `unit ${n} was acknowledged and is lost`);
    });

    it('a killed process leaves no lock behind', async () => {
      const storage = await open();
      const child = runChild('writer.ts', [root(), key, '1000']);
      children.push(child);
      assert.equal((await child.lines.next()).value, 'open');
      let last = 0;
      for (let i = 0; i < 20; i += 1) last = Number((await child.lines.next()).value);
      await child.kill();
      // The very next row: had the other's transaction stayed open, this would wait for it.
      await storage.run((tx) =>
        tx.alarms.insert({ id: `c-${last + 1}`, at: last + 1, code: 'x', machineId: null, text: '' }),
      );
      const ids = new Set((await storage.run((tx) => tx.alarms.list(100_000))).map(({ id }) => id));
      for (let n = 1_000; n <= last + 1; n += 1)
        assert.equal(ids.has(`a-${n}`), ids.has(`b-${n}`), `half of ${n}`);
      await open();
    });

    it('and stays broken, units end within their patience', async () => {
      const storage = await open({ patience: milliseconds(300) });
      await server.end();
      try {
        const error = await rejectsWith(
          storage.run((tx) => tx.machines.list()),
          'store.unavailable',
        );
        assert.equal(error.retry, 'later');
      } finally {
        await server.begin();
      }
      assert.deepEqual(await storage.run((tx) => tx.machines.list()), []);
    });
  });

  describe('secrets', () => {
    const plain = [
      ...['bmc-password-1', 'bmc-kg-1', 'switch-password', 'enable-password', 'rack-config-text'],
      ...['user-data-text', 'boot-work-text', 'boot-user-data', 'input-user-data', 'context-text'],
    ];

    it('are in no file of the server, and appear in no log line and no error', async () => {
      let lines = '';
      const log = createLog({ level: 'debug', destination: { write: (line) => (lines += line) } });
      const storage = await open({ log });
      const fill = (): Promise<void> =>
        storage.run(async (tx) => {
          await tx.machines.insert(machine(1));
          await tx.racks.replace('rack-config-text', [switchRecord('tor-a')], []);
          await tx.deployments.insert(deployment(1));
          await tx.journal.insert(operation('op-1', 1));
          await tx.boots.insert(boot('op-1', 1));
        });
      await fill();
      log.error({ err: await rejectsWith(fill(), 'store.conflict') }, 'refused');
      for (const bad of [
        operation('op-2', 2, { createdAt: Number.NaN, joinKey: 'join-key-text' }),
        operation('op-3', 3, { joinKey: 'join-key-text'.repeat(100) }),
      ]) {
        const refused = await rejectsWith(
          storage.run((tx) => tx.journal.insert(bad)),
          'internal.bug',
        );
        log.error({ err: refused }, 'refused');
      }
      for (const text of [...plain, 'node-1', 'join-key-text', 'v1.', 'database-password'])
        assert.ok(!lines.includes(text), text);

      const found = (text: string): boolean => {
        try {
          execFileSync('grep', ['-rqaF', '--', text, server.dataFolder], { stdio: 'ignore' });
          return true;
        } catch {
          return false;
        }
      };
      assert.ok(found('node-1'), 'what is not secret must be found, or this search proves nothing');
      assert.deepEqual(plain.filter(found), []);
    });
  });
});
