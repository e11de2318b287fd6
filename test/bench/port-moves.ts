import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { once } from 'node:events';
import { loadavg } from 'node:os';
import { LabSwitch } from '../../lab/switch/index.ts';
import {
  os9PortId,
  parseMac,
  Secret,
  seconds,
  type DesiredPort,
  type DeviceContext,
  type PortId,
  type VlanId,
} from '../../plugin-api/index.ts';
import type { MachineId } from '../../src/core/machine/machine.ts';
import type { Switch } from '../../src/core/rack/wiring.ts';
import { createForce10CliDriver } from '../../src/drivers/switch/force10-cli/index.ts';
import { SystemClock } from '../../src/kernel/clock/system-clock.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { Metrics } from '../../src/kernel/metrics/metrics.ts';
import type { Instances } from '../../src/operations/instances/instances.ts';
import { PortService, type PortWish } from '../../src/operations/ports/port-service.ts';
import { wantedOf } from '../../src/operations/ports/wanted.ts';
import { targetOf } from '../../src/operations/ports/switch-worker.ts';
import type { Timings } from '../../src/operations/timings.ts';
import { machine as sample } from '../store/samples.ts';
import { tempStorage } from '../support/temp-storage.ts';
import type { Bench } from './bench.ts';

const machines = 40;
/** Changes per switch that are done one session each; the others would take as long each. */
const naive = 6;
const leastFaster = 20;
/** Milliseconds: key exchange and login, one command, `write memory`. */
const delays = { login: 2_500, command: 25, save: 5_000 };
/** OS9's own limit. */
const connectionsPerMinute = 10;
const provisioning = 100 as VlanId;
const tenant = 200 as VlanId;
const uplink = os9PortId('Fo 1/49');

/** Port moves by the port service, and one after the other with a session each, by the same driver on the same kind of switch. */
export const portMoves: Bench = {
  name: 'port-moves',
  compares: `${machines * 2} port moves on a pair of switches with delays, against one session per change`,
  async run() {
    const one = await naiveTime();
    const theirs = one * machines;
    const { took, sessions, connections } = await ourTime();
    return [
      {
        what: `${machines * 2} moves, how many times as fast`,
        ours: `${(took / 1_000).toFixed(1)} s`,
        reference: `${(theirs / 1_000).toFixed(0)} s (${machines} times ${(one / 1_000).toFixed(2)} s, of ${naive})`,
        ratio: theirs / took,
        target: { atLeast: leastFaster },
      },
      {
        what: 'sessions at once on a switch, at most',
        ours: `${sessions} (${connections} in all)`,
        reference: '2',
        ratio: sessions / 2,
        target: { atMost: 1 },
      },
      {
        what: '  load average',
        ours: loadavg()[0]!.toFixed(1),
        reference: '-',
        ratio: NaN,
        target: null,
      },
    ];
  },
};

/** Milliseconds of one change in a session of its own: both switches at once, so a change of each in the time of one. */
async function naiveTime(): Promise<number> {
  const pair = await startPair();
  try {
    const began = performance.now();
    await Promise.all(
      pair.switches.map(async ({ at }) => {
        for (let n = 1; n <= naive; n += 1) {
          const port = portOf(n);
          await pair.storage.run((tx) => tx.ports.desire(wish(at.name, n)));
          const session = await pair.driver.open(targetOf(at));
          try {
            const read = [port, ...at.uplinks];
            const before = await session.read(read);
            const { intent } = await wantedOf(pair.storage, at, [port], before);
            await session.apply(pair.driver.plan(before, intent));
            const after = await session.read(read);
            if (after.ports.get(port)?.native !== tenant) throw new Error(`${at.name} ${port} did not move`);
            await session.save();
          } finally {
            await session.close();
          }
        }
      }),
    );
    return (performance.now() - began) / naive;
  } finally {
    await pair.stop();
  }
}

async function ourTime(): Promise<{ took: number; sessions: number; connections: number }> {
  const pair = await startPair();
  const clock = new SystemClock();
  const timings: Partial<Timings> = {
    switchBatchDelay: 200 as never,
    switchBatch: seconds(120),
    switchIdle: seconds(20),
  };
  const ports = new PortService(new Map([['Force10', pair.driver]]), {
    storage: pair.storage,
    clock,
    timings: timings as Timings,
    log: createLog({ level: 'silent' }),
    metrics: new Metrics(),
    instances: { shared: false } as unknown as Instances,
  });
  try {
    const began = performance.now();
    await Promise.all(
      Array.from({ length: machines }, async (_, i) => {
        const wishes = pair.switches.map(({ at }) => wish(at.name, i + 1));
        await pair.storage.run((tx) => ports.desire(tx, idOf(i + 1), wishes));
        await ports.settle(wishes);
      }),
    );
    const took = performance.now() - began;
    for (const { lab } of pair.switches) {
      if (!lab.model.saved) throw new Error(`${lab.name} is not saved`);
      for (let n = 1; n <= machines; n += 1)
        if (lab.model.effective(`TenGigabitEthernet 1/${n}`).native !== tenant)
          throw new Error(`${lab.name} Te 1/${n} did not move`);
    }
    const counts = pair.switches.map(({ lab }) => lab.sessions);
    return {
      took,
      sessions: Math.max(...counts.map(({ max }) => max)),
      connections: counts.reduce((sum, { connections }) => sum + connections, 0),
    };
  } finally {
    await ports.close();
    await pair.stop();
  }
}

async function startPair() {
  const temp = await tempStorage();
  const context: DeviceContext = { clock: new SystemClock(), log: () => undefined };
  const driver = createForce10CliDriver(context, undefined);
  const switches = await Promise.all(['tor-1', 'tor-2'].map((name) => startSwitch(name)));
  await temp.storage.run(async (tx) => {
    await tx.racks.replace(
      '{}',
      switches.map(({ at }) => at),
      [],
    );
    const base = sample(1);
    for (let n = 1; n <= machines; n += 1) {
      await tx.machines.insert({
        ...base,
        id: idOf(n),
        hostname: `node-${n}`,
        nics: [{ ...base.nics[0]!, mac: parseMac(`52:54:00:00:00:${n.toString(16).padStart(2, '0')}`) }],
        bmc: { ...base.bmc!, host: `10.0.0.${n}` },
        cloudPlace: null,
      });
    }
  });
  return {
    storage: temp.storage,
    driver,
    switches,
    stop: async () => {
      await Promise.all(switches.map(({ stop }) => stop()));
      await temp.close();
    },
  };
}

async function startSwitch(name: string) {
  const lab = await LabSwitch.start({
    name,
    ports: [`Te 1/1-1/${machines}`],
    uplinks: ['Fo 1/49'],
    uplinkVlans: [provisioning],
    vlans: { [provisioning]: 'provisioning' },
    username: 'admin',
    password: 'login-secret',
    latencyMs: delays.command,
    connectionsPerMinute,
    chunking: 'gathered',
  });
  for (let n = 1; n <= machines; n += 1)
    lab.model.addUntagged(provisioning, `TenGigabitEthernet 1/${n}`, 'factory');
  lab.model.save('factory');
  lab.behaviours.on(/^write memory/, { do: 'delay', ms: delays.save }, { times: Number.POSITIVE_INFINITY });
  const slow = await slowDoor(lab.port);
  const at: Switch = {
    name,
    fabric: 'pair',
    type: 'Force10',
    transport: 'ssh',
    host: '127.0.0.1',
    tcpPort: (slow.address() as AddressInfo).port,
    username: 'admin',
    password: new Secret('login-secret'),
    enablePassword: null,
    hostKeyPin: lab.hostKeySha256,
    legacyCrypto: false,
    uplinks: [uplink],
    provisioning,
    park: 'shut',
    defaultVlan: null,
    unsavedSince: null,
    version: 1,
  };
  const stop = async (): Promise<void> => {
    slow.close();
    await lab.stop();
  };
  return { lab, at, stop };
}

/** What comes in waits as long as an old switch takes for key exchange and login. */
async function slowDoor(port: number): Promise<Server> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => undefined);
    setTimeout(() => {
      const inner = connect({ port, host: '127.0.0.1', noDelay: true });
      inner.on('error', () => socket.destroy());
      inner.on('close', () => socket.destroy());
      socket.on('close', () => inner.destroy());
      socket.pipe(inner).pipe(socket);
    }, delays.login);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function wish(name: string, n: number): PortWish & { readonly machineId: MachineId } {
  const desired: DesiredPort = { native: tenant, tagged: [], admin: 'up' };
  return { switch: name, port: portOf(n), purpose: 'tenant', desired, machineId: idOf(n) };
}

const portOf = (n: number): PortId => os9PortId(`Te 1/${n}`);
const idOf = (n: number): MachineId => `m${n.toString().padStart(5, '0')}` as MachineId;
