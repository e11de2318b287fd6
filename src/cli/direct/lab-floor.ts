import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import type { LabFloor } from '../../../lab/floor/index.ts';
import { parseMac, parseVlanId, type Mac, type VlanId } from '../../../plugin-api/index.ts';

interface UpOptions {
  readonly machines: number;
  readonly speed: number;
  readonly dir?: string;
  readonly bootService: { readonly host: string; readonly port: number };
  readonly allot: readonly { readonly vlan: VlanId; readonly mac: Mac }[];
  readonly defaultVlan: boolean;
  readonly json: boolean;
}

/** `csbm lab up`: the simulated floor in the foreground, until interrupted. Without `--dir` nothing of it is left. */
export function labUpCommand(): Command {
  return new Command('up')
    .description('bring up a simulated floor: switches, BMCs, machines, virtual router')
    .option('--machines <n>', 'how many machines', count, 4)
    .option('--speed <factor>', 'how many times faster than life machines live', factor, 20)
    .option(
      '--dir <path>',
      'keep disks and rack config here; default: a directory that is removed at the end',
    )
    .option('--boot-service <host:port>', 'where the boot service listens', hostPort, {
      host: '127.0.0.1',
      port: 8480,
    })
    .option('--allot <vlan/mac>', 'let the virtual router give this MAC a lease (repeatable)', allotment, [])
    .option('--default-vlan', 'the provisioning network is the default VLAN of the switches', false)
    .option('--json', 'print one JSON object', false)
    .action(async (options: UpOptions) => {
      // From the first moment on, so that an early Ctrl-C leaves nothing either.
      const interrupted = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
      // The simulators are loaded only when they are wanted.
      const { LabFloor } = await import('../../../lab/floor/index.ts');
      const { makeLabImage } = await import('../../../lab/machine/index.ts');
      const directory = options.dir ?? fs.mkdtempSync(path.join(os.tmpdir(), 'csbm-lab-'));
      try {
        const floor = await LabFloor.start({
          directory,
          machines: options.machines,
          speed: options.speed,
          bootService: options.bootService,
          ...(options.defaultVlan ? { provisioning: 'default-vlan' } : {}),
        });
        try {
          for (const { vlan, mac } of options.allot) floor.router.reserve(vlan, mac);
          const image = path.join(directory, 'lab-linux.raw');
          fs.writeFileSync(image, makeLabImage({ name: 'lab-linux', canBond: true, bytes: 4 * 1024 * 1024 }));
          const facts = describe(floor, image, options);
          process.stdout.write(options.json ? `${JSON.stringify(facts)}\n` : write(facts));
          await interrupted;
        } finally {
          await floor.stop();
        }
      } finally {
        if (options.dir === undefined) fs.rmSync(directory, { recursive: true, force: true });
      }
    });
}

function describe(floor: LabFloor, image: string, options: UpOptions) {
  const { username, password } = floor;
  return {
    directory: floor.directory,
    rackConfig: floor.rackConfigPath,
    image,
    username,
    password,
    bootService: options.bootService,
    switches: floor.switches.map(({ name, host, port }) => ({ name, host, port })),
    machines: floor.machines.map(({ machine, bmcAddress }) => ({
      name: machine.name,
      bmc: bmcAddress,
      nics: machine.nics.map((nic) => ({ mac: nic.mac, switch: nic.place.switch, port: nic.place.port })),
    })),
    networks: floor.router.networks,
  };
}

function write(facts: ReturnType<typeof describe>): string {
  const lines = [
    `rack config    ${facts.rackConfig}`,
    `image          ${facts.image}`,
    `boot service   expected at ${facts.bootService.host}:${facts.bootService.port}`,
    `credentials    user ${facts.username}, password ${facts.password} (switches and BMCs)`,
    ...facts.switches.map((s) => `switch         ${s.name}  ssh ${s.host} port ${s.port}`),
    ...facts.machines.map(
      (m) =>
        `machine        ${m.name}  BMC ${m.bmc.host} port ${m.bmc.port}  ${m.nics.map((n) => n.mac).join(' ')}`,
    ),
    ...facts.networks.map((n) => `tenant network ${n.name}  VLAN ${n.vlan}  ${n.prefix}.0/24`),
    'Ctrl-C ends it.',
  ];
  return `${lines.join('\n')}\n`;
}

function count(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1 || number > 128)
    throw new InvalidArgumentError('use a whole number from 1 to 128');
  return number;
}

function factor(value: string): number {
  const number = Number(value);
  if (!(number > 0 && number <= 1_000)) throw new InvalidArgumentError('use a number above 0, at most 1000');
  return number;
}

function hostPort(value: string): { host: string; port: number } {
  const match = /^(.+):(\d{1,5})$/.exec(value);
  if (!match) throw new InvalidArgumentError('write HOST:PORT');
  return { host: match[1]!, port: Number(match[2]) };
}

function allotment(value: string, before: UpOptions['allot']): UpOptions['allot'] {
  const [vlan = '', mac = ''] = value.split('/');
  try {
    return [...before, { vlan: parseVlanId(vlan), mac: parseMac(mac) }];
  } catch (error) {
    throw new InvalidArgumentError(`write VLAN/MAC: ${(error as Error).message}`);
  }
}
