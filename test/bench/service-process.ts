/** The service as it is, started from a configuration file, in a process of its own, with a look into it for the benches. */
import { createWriteStream, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import type * as configuration from '../../src/config/load-config.ts';
import type * as logging from '../../src/kernel/log/log.ts';
import type * as main from '../../src/main.ts';
import { answerQuestions } from './child-process.ts';
import { compiled } from './compiled.ts';
import { watchTime } from './time-watch.ts';

/** First argument, in JSON. */
export interface ServiceOrder {
  readonly configFile: string;
  readonly logFile: string;
  readonly env: Readonly<Record<string, string>>;
}

/** What was seen since the question before. */
export interface ServiceSeen {
  /** Milliseconds in which the event loop was at work, synchronous writes of the database included. */
  readonly active: number;
  /** CPU milliseconds. */
  readonly cpu: number;
  /** Bytes. */
  readonly residentMost: number;
  /** Milliseconds and how often, by kind of work. */
  readonly parts: Readonly<Record<string, { readonly count: number; readonly ms: number }>>;
}

const { loadConfig } = await compiled<typeof configuration>('config/load-config');
const { createLog } = await compiled<typeof logging>('kernel/log/log');
const { startService } = await compiled<typeof main>('main');
const order = JSON.parse(process.argv[2]!) as ServiceOrder;
const env = { ...process.env, ...order.env };
const parts = await watchTime();
const { config } = loadConfig({ path: order.configFile, env });
const destination = createWriteStream(order.logFile, { flags: 'a' });
const service = await startService({ config, log: createLog({ level: 'info', destination }), env });

const inspector = new Session();
let utilization = performance.eventLoopUtilization();
let cpu = process.cpuUsage();

answerQuestions({
  place: () => ({ adminUrl: service.adminUrl, bootUrl: service.bootUrl, maasUrl: service.maasUrl }),
  seen: (): ServiceSeen => {
    const { active } = performance.eventLoopUtilization(utilization);
    const { user, system } = process.cpuUsage(cpu);
    const seen = {
      active,
      cpu: (user + system) / 1_000,
      residentMost: process.resourceUsage().maxRSS * 1_024,
      parts: parts.take(),
    };
    utilization = performance.eventLoopUtilization();
    cpu = process.cpuUsage();
    return seen;
  },
  profile: async (file: string | null) => {
    if (file === null) {
      inspector.connect();
      await inspector.post('Profiler.enable');
      await inspector.post('Profiler.setSamplingInterval', { interval: 200 });
      await inspector.post('Profiler.start');
    } else {
      const { profile } = await inspector.post('Profiler.stop');
      writeFileSync(file, JSON.stringify(profile));
    }
    return null;
  },
  stop: async () => {
    await service.stop();
    return null;
  },
});
