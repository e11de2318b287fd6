import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freeUdpPort } from '../../support/free-port.ts';

const folder = fileURLToPath(new URL('./', import.meta.url));

export interface Simulator {
  readonly port: number;
  stop(): Promise<void>;
}

/** Starts OpenIPMI's ipmi_sim with more commands for its BMC, and more lines for its LAN configuration. */
export async function startSimulator(
  commands: readonly string[] = [],
  configuration: readonly string[] = [],
): Promise<Simulator> {
  const dir = mkdtempSync(join(tmpdir(), 'csbm-ipmi-sim-'));
  const port = await freeUdpPort();
  mkdirSync(join(dir, 'state'));
  const lan = readFileSync(join(folder, 'lan.conf'), 'utf8')
    .replace('@PORT@', String(port))
    .replace('@CHASSIS@', join(folder, 'chassis.sh'))
    .replace('@HOST@', join(dir, 'host'));
  writeFileSync(join(dir, 'lan.conf'), `${lan}\n${configuration.join('\n')}\n`);
  const enable = 'mc_enable 0x20';
  const emulation = readFileSync(join(folder, 'bmc.emu'), 'utf8');
  writeFileSync(join(dir, 'bmc.emu'), emulation.replace(enable, [...commands, enable].join('\n')));
  const args = ['-c', join(dir, 'lan.conf'), '-f', join(dir, 'bmc.emu'), '-s', join(dir, 'state'), '-n'];
  const child = spawn('ipmi_sim', args, { stdio: 'ignore' });
  const ended = once(child, 'exit');
  return {
    port,
    stop: async () => {
      child.kill();
      await ended;
      rmSync(dir, { recursive: true });
    },
  };
}
