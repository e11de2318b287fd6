import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import type { LabFloor } from '../floor/index.ts';
import { makeLabImage } from '../machine/index.ts';
import { AdminClient } from './admin-client.ts';
import type { RunningService, ServiceProcessOptions } from './service-process.ts';

export interface UpstreamOptions {
  readonly directory: string;
  readonly floor: LabFloor;
  /** Lines of its configuration that every service on this floor has. */
  readonly config: readonly string[];
  readonly imageBytes: number;
  readonly launch: (options: ServiceProcessOptions) => Promise<RunningService>;
}

/**
 * An upstream MAAS on the floor: a second service of ours, which answers as MAAS itself does (`strict: canonical`), with its own
 * native engine on the floor's provisioning side. Wiring is none of its business, and its pool may stay on that network.
 */
export class Upstream {
  readonly service: RunningService;
  readonly admin: AdminClient;
  /** File with the API key of its administrator. */
  readonly keyFile: string;
  readonly #options: UpstreamOptions;

  static async start(options: UpstreamOptions): Promise<Upstream> {
    const { directory, config, floor, launch } = options;
    const ramdisk = path.join(directory, 'state', 'ramdisk');
    mkdirSync(ramdisk, { recursive: true, mode: 0o700 });
    writeFileSync(path.join(ramdisk, 'vmlinuz'), 'stands for a kernel');
    writeFileSync(path.join(ramdisk, 'initrd'), 'stands for an initial ramdisk');
    const configFile = path.join(directory, 'csbm.yaml');
    const lines = [
      `stateDir: ${JSON.stringify(path.join(directory, 'state'))}`,
      'boot: { port: 0 }',
      'maas: { enabled: true, port: 0, strict: canonical }',
      ...config,
    ];
    writeFileSync(configFile, `${lines.join('\n')}\n`);
    const service = await launch({ configFile, logFile: path.join(directory, 'service.log') });
    const boot = new URL(service.bootUrl);
    floor.setBootService({ host: boot.hostname, port: Number(boot.port) });
    const token = readFileSync(path.join(directory, 'state', 'admin.token'), 'utf8').trim();
    return new Upstream(options, service, new AdminClient(service.adminUrl, token));
  }

  private constructor(options: UpstreamOptions, service: RunningService, admin: AdminClient) {
    this.#options = options;
    this.service = service;
    this.admin = admin;
    this.keyFile = path.join(options.directory, 'api.key');
  }

  /** Of its MAAS API, as its clients are given it. */
  get root(): string {
    return `${this.service.maasUrl}/MAAS`;
  }

  /** Its image, its key, and its machines: known, and no more. */
  async furnish(): Promise<void> {
    const { floor, imageBytes } = this.#options;
    await this.admin.call('PUT', '/pools/default', { trusted: true });
    const raw = makeLabImage({ name: 'lab-linux', canBond: true, bytes: imageBytes });
    await this.admin.upload(
      '/images?name=lab-linux&canBond=true&firstBoot=nocloud',
      gzipSync(raw, { level: 1 }),
    );
    const { key } = await this.admin.call('POST', '/api-keys', { name: 'downstream' });
    writeFileSync(this.keyFile, `${key as string}\n`, { mode: 0o600 });
    for (const { machine, bmcAddress } of floor.machines)
      await this.admin.call('POST', '/machines', {
        hostname: machine.name,
        macs: machine.nics.map((nic) => nic.mac),
        wiring: 'none',
        bmc: { ...bmcAddress, username: floor.username, password: floor.password },
      });
  }
}
