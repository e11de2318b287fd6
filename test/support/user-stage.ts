import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import type { RunningService, ServiceProcessOptions } from '../../lab/demo/service-process.ts';
import { Stage, type StageOptions } from '../../lab/demo/stage.ts';
import { makeLabImage } from '../../lab/machine/index.ts';
import type { DeployEngine } from '../../plugin-api/index.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import type { Asker, Role } from '../../src/core/access/principal.ts';
import type { Machine } from '../../src/core/machine/machine.ts';
import { untaggedVid, vlanRecordName } from '../../src/core/network/network-records.ts';
import type { Tx } from '../../src/core/storage/storage.ts';
import { createLog } from '../../src/kernel/log/log.ts';
import { startService, type Service, type ServiceOptions } from '../../src/main.ts';

/** Somebody who asks through a door of the tests' own. */
export function asker(name: string, role: Role = 'user', scope = '*'): Asker {
  return { principal: name, role, scope, door: 'test', reason: 'a test' };
}

export interface UserStageOptions extends Omit<Partial<StageOptions>, 'directory' | 'launch'> {
  readonly hooks?: ServiceOptions['hooks'];
  /** Engines besides the native one, made for the floor. */
  readonly engines?: (stage: Stage) => readonly DeployEngine[];
  /** Of the machines; default native. */
  readonly engine?: string;
}

/** A floor whose machines stand in no CloudStack: they are there for users. The service runs in this process. */
export class UserStage {
  readonly stage: Stage;
  readonly #current: () => Service;

  private constructor(stage: Stage, current: () => Service) {
    this.stage = stage;
    this.#current = current;
  }

  static async open({ hooks, engines, engine, ...options }: UserStageOptions = {}): Promise<{
    readonly users: UserStage;
    readonly close: () => Promise<void>;
  }> {
    const directory = mkdtempSync(path.join(tmpdir(), 'csbm-users-'));
    let current: Service | null = null;
    let stage: Stage | null = null;
    const launch = async (given: ServiceProcessOptions): Promise<RunningService> => {
      const env = { ...process.env, ...given.env };
      const file = createWriteStream(given.logFile, { flags: 'a' });
      const { config } = loadConfig({ path: given.configFile, env });
      const log = createLog({ level: 'debug', destination: file });
      const more = engines && stage ? { engines: engines(stage) } : {};
      const service = await startService({ config, log, env, ...(hooks && { hooks }), ...more });
      current = service;
      return {
        adminUrl: service.adminUrl,
        bootUrl: service.bootUrl,
        maasUrl: service.maasUrl,
        exited: new Promise(() => undefined),
        stop: async () => {
          await service.stop();
          await new Promise<void>((resolve) => file.end(() => resolve()));
        },
      };
    };
    stage = await Stage.start({
      machines: 1,
      speed: 40,
      imageBytes: 2 ** 20,
      eraseGrade: 'full',
      ...options,
      launch,
      directory,
    });
    const opened = stage;
    const close = async (): Promise<void> => {
      await opened.stop();
      rmSync(directory, { recursive: true, force: true });
    };
    try {
      await opened.serve();
      const users = new UserStage(opened, () => current!);
      await users.#furnish(engine);
      return { users, close };
    } catch (error) {
      await close();
      throw error;
    }
  }

  get inside(): Service['inside'] {
    return this.#current().inside;
  }

  read<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.inside.storage.run(work);
  }

  machine(name = 'server-1'): Promise<Machine> {
    return this.read(async (tx) => (await tx.machines.findByHostname(name))!);
  }

  /** The number of a VLAN's record in the fabric of the floor; made where it is missing. */
  vlan(vid: number): Promise<number> {
    return this.read(async (tx) => {
      const { fabric: name } = (await tx.racks.switches())[0]!;
      const fabric = await tx.records.findByName('fabric', name);
      const record = vlanRecordName(fabric!.id, vid);
      const found = await tx.records.findByName('vlan', record);
      if (found || vid === untaggedVid) return found!.id;
      const body = {
        fabric: fabric!.id,
        vid,
        name: `vlan-${vid}`,
        description: '',
        mtu: 1500,
        dhcp_on: false,
      };
      return (await tx.records.insert({ kind: 'vlan', name: record, owner: null, body })).id;
    });
  }

  async #furnish(engine: string | undefined): Promise<void> {
    const { admin, floor } = this.stage;
    await admin.call('PUT', '/rack-config', floor.rackConfig());
    await this.addImage('lab-linux', true);
    for (const { machine, bmcAddress } of floor.machines) {
      await admin.call('POST', '/machines', {
        hostname: machine.name,
        macs: machine.nics.map((nic) => nic.mac),
        bmc: { ...bmcAddress, username: floor.username, password: floor.password },
        ...(engine !== undefined && { engine }),
      });
      await admin.operation('POST', `/machines/${machine.name}/commission`, { grade: 'full' });
    }
  }

  async addImage(name: string, canBond: boolean): Promise<void> {
    const image = makeLabImage({ name, canBond, bytes: 2 ** 20 });
    await this.stage.admin.upload(
      `/images?name=${name}&canBond=${canBond}&firstBoot=nocloud`,
      gzipSync(image, { level: 1 }),
    );
  }
}
