import { createWriteStream } from 'node:fs';
import type { Clock } from '../../plugin-api/index.ts';
import type { RunningService, ServiceProcessOptions } from '../../lab/demo/service-process.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { startService } from '../../src/main.ts';

/** The real service inside the test's own process: quicker to start than a process of its own. */
export async function launchLocally(options: ServiceProcessOptions, clock?: Clock): Promise<RunningService> {
  const env = { ...process.env, ...options.env };
  const file = createWriteStream(options.logFile, { flags: 'a' });
  const { config } = loadConfig({ path: options.configFile, env });
  const log = createLog({ level: 'debug', destination: file });
  const service = await startService({ config, log, env, ...(clock && { clock }) });
  let ended: (how: string) => void;
  const exited = new Promise<string>((resolve) => {
    ended = resolve;
  });
  return {
    adminUrl: service.adminUrl,
    bootUrl: service.bootUrl,
    maasUrl: service.maasUrl,
    exited,
    stop: async () => {
      await service.stop();
      await new Promise<void>((resolve) => file.end(() => resolve()));
      ended('stopped');
    },
  };
}
