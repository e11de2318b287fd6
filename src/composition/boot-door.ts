import { join } from 'node:path';
import express from 'express';
import { bootApp } from '../api/boot/boot-app.ts';
import { startFileSender } from '../api/boot/file-sender.ts';
import { firstScript, laterScript } from '../api/boot/ipxe-scripts.ts';
import type { Config } from '../config/config.ts';
import { ProvisioningNetwork } from '../drivers/deploy/native/provisioning/provisioning-network.ts';
import {
  bootFiles,
  httpBootPath,
  provisioningSettings,
} from '../drivers/deploy/native/provisioning/settings.ts';
import { close, listen } from '../kernel/net/web-server.ts';
import type { RestoreMode } from '../operations/restore/restore-mode.ts';
import type { World } from '../operations/world.ts';
import type { Devices } from './devices.ts';
import type { Door, Listeners } from './listeners.ts';

export interface BootDoor extends Door {
  /** DHCP and TFTP for the machines, not started yet; null = somebody else's. */
  readonly provisioning: ProvisioningNetwork | null;
}

/** What machines boot from: the boot service, and the network before it. */
export async function openBootDoor(
  config: Config,
  { clock, log }: World,
  { boots, images, context }: Devices,
  restore: RestoreMode,
  listeners: Listeners,
): Promise<BootDoor> {
  const { limits, certificates } = listeners;
  const front = express();
  // It listens before it can answer, to know its address; and what a machine may boot is not known before the restore is over.
  // Who asks meanwhile asks again: a refusal would end an install that is under way.
  let ready = false;
  front.use((req, res, next) => {
    const forMachines = req.path === '/boot.ipxe' || req.path.startsWith('/boot/v1/');
    if (ready && !(forMachines && restore.closed)) next();
    else if (req.path === '/boot.ipxe' || req.path === '/boot/v1/script')
      res.type('text/plain').send(laterScript(url));
    else res.status(503).set('retry-after', '5').end();
  });
  const server = listeners.create('boot', front);
  const url = config.boot.publicUrl ?? (await listen(server, config.boot.host, config.boot.port));
  if (config.boot.publicUrl) await listen(server, config.boot.host, config.boot.port);
  const { network } = config.provisioning;
  const served = network.enabled ? provisioningSettings(network, config.stateDir, url) : null;
  // UEFI may ask for the boot file over HTTP too.
  if (served)
    front.get(httpBootPath, (_req, res) =>
      res.sendFile(bootFiles.efi64, { root: served.tftpDir }, (error: Error | undefined) => {
        if (error && !res.headersSent) res.status(404).end();
      }),
    );
  // Under TLS the kernel cannot send the bytes of a file as they are.
  const sender = config.boot.sendfile && certificates.boot === null ? await startFileSender(log) : null;
  front.use(
    bootApp({
      conversations: boots,
      images,
      ramdiskDir: join(config.stateDir, 'ramdisk'),
      publicUrl: url,
      kernelArguments: `${config.boot.kernelArguments ?? ''} csbm.lldp=${config.boot.lldp / 1_000}`.trim(),
      sender,
      log,
      asking: { clock, limit: limits.boots },
      bodyBudget: limits.budgets().known,
      bodyTimeout: config.limits.bodyTimeout,
    }),
  );
  ready = true;
  return {
    url,
    provisioning:
      served &&
      new ProvisioningNetwork({ context, settings: served, firstScript: firstScript(served.bootUrl) }),
    close: async () => {
      await close(server);
      await sender?.close();
    },
  };
}
