/**
 * The MAAS API in a process of its own, for the bench: its door as it is, signatures included, over the real store with so many machines, every
 * second one held by a user, put together as in `src/composition` without what acts on machines.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { minutes, type Mac } from '../../plugin-api/index.ts';
import { composeApiKey } from '../../src/wire/oauth/api-key.ts';
import { maasDoor } from '../../src/api/maas/maas-door.ts';
import type { MaasContext } from '../../src/api/maas/maas-context.ts';
import { userClaimId } from '../../src/core/claim/claim.ts';
import { askerOf } from '../../src/core/access/principal.ts';
import type { Machine, MachineId } from '../../src/core/machine/machine.ts';
import { emptyProfile } from '../../src/core/machine/profile.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { createWebServer, listen } from '../../src/kernel/net/web-server.ts';
import { Access } from '../../src/operations/access.ts';
import { ApiKeys } from '../../src/operations/api-keys.ts';
import { ensureDefaultRecords } from '../../src/operations/default-records.ts';
import { ensureNetworks } from '../../src/operations/networks.ts';
import { Pools } from '../../src/operations/pools.ts';
import { Users } from '../../src/operations/users.ts';
import { Session } from '../../src/store/session.ts';
import { machine as sample } from '../store/samples.ts';
import { tempStorage } from '../support/temp-storage.ts';
import { answerQuestions } from './child-process.ts';

/** First argument, in JSON. */
export interface MaasApiOrder {
  readonly machines: number;
  /** Of them in each pool. */
  readonly poolSize: number;
  readonly nics: number;
}

/** Where it is, and by which key. */
export interface MaasApiPlace {
  readonly url: string;
  readonly key: string;
}

/** What was seen since the question before. */
export interface MaasApiObserved {
  /** Database statements. */
  readonly queries: number;
  /** Milliseconds; the monitor's own resolution is part of it. */
  readonly loopDelayP99: number;
  /** Bytes: the most, and at the question before. */
  readonly residentMost: number;
  readonly residentBefore: number;
}

const order = JSON.parse(process.argv[2]!) as MaasApiOrder;
const clock = new SystemClock();
const database = await tempStorage();
const { storage } = database;
const admin = askerOf({ name: 'admin', role: 'admin', scope: '*' }, 'bench', '');

const base = sample(1);
for (let from = 0; from < order.machines; from += 500)
  await storage.run(async (tx) => {
    for (let i = from; i < Math.min(order.machines, from + 500); i += 1) await add(tx, i);
  });
await storage.run(async (tx) => {
  await ensureNetworks(tx);
  await ensureDefaultRecords(tx);
  for (let pool = 0; pool * order.poolSize < order.machines; pool += 1)
    await tx.pools.insert({ name: `pool-${pool}`, description: '', doors: ['maas'], trusted: false });
  await tx.principals.insert({
    name: 'admin',
    role: 'admin',
    scope: '*',
    tokenHash: null,
    createdAt: 1,
    revokedAt: null,
    expiresAt: null,
    lastUsedAt: null,
    email: '',
    passwordHash: null,
  });
});

async function add(tx: Parameters<Parameters<typeof storage.run>[0]>[0], i: number): Promise<void> {
  const machine: Machine = {
    ...base,
    id: `m${i.toString(36).padStart(5, '0')}` as MachineId,
    hostname: `node-${i}`,
    pool: `pool-${Math.floor(i / order.poolSize)}`,
    nics: Array.from({ length: order.nics }, (_, nic) => ({
      ...base.nics[0]!,
      name: `eno${nic + 1}`,
      mac: macOf(i, nic),
    })),
    bmc: { ...base.bmc!, host: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}` },
    cloudPlace: null,
    quarantine: null,
  };
  await tx.machines.insert(machine);
  await tx.profiles.save({ ...emptyProfile(machine.id), tags: ['metal', `row-${i % 40}`] });
  if (i % 2 === 1) return;
  await tx.claims.insert({
    machineId: machine.id,
    holder: 'user',
    externalId: userClaimId('anna', machine.id),
    owner: 'anna',
    instanceUuid: null,
    since: 1,
    version: 1,
  });
}

function macOf(i: number, nic: number): Mac {
  const hex = i.toString(16).padStart(4, '0');
  return `52:54:${hex.slice(0, 2)}:${hex.slice(2)}:00:0${nic}` as Mac;
}

let queries = 0;
// eslint-disable-next-line @typescript-eslint/unbound-method -- called with its session below
const execute = Session.prototype.execute;
Session.prototype.execute = function (...args) {
  queries += 1;
  return execute.apply(this, args);
};

const keys = new ApiKeys(storage, clock);
const users = new Users(storage, clock, new Access(storage, clock));
const context: Partial<MaasContext> = {
  storage,
  pools: new Pools(storage),
  keys,
  users,
  clock,
  log: createLog({ level: 'silent' }),
  settings: { reportedVersion: '3.5.0', strict: null, eraseShownAs: 'Disk erasing', releasingFor: [] },
};
const server = createWebServer(maasDoor(context as MaasContext), { tls: null, keepAliveTimeout: minutes(1) });
const url = await listen(server, '127.0.0.1', 0);
const { consumerKey, tokenKey, secret } = await keys.create('admin', 'bench', admin);
const key = composeApiKey({ consumerKey, tokenKey, tokenSecret: secret });

const loop = monitorEventLoopDelay({ resolution: 5 });
loop.enable();
let residentBefore = process.memoryUsage.rss();
let residentMost = residentBefore;
setInterval(() => {
  residentMost = Math.max(residentMost, process.memoryUsage.rss());
}, 20).unref();

answerQuestions({
  place: (): MaasApiPlace => ({ url, key }),
  observed: (): MaasApiObserved => {
    const seen = { queries, loopDelayP99: loop.percentile(99) / 1e6, residentMost, residentBefore };
    queries = 0;
    loop.reset();
    residentBefore = process.memoryUsage.rss();
    residentMost = residentBefore;
    return seen;
  },
  stop: async () => {
    server.closeAllConnections();
    server.close();
    await database.close();
  },
});
