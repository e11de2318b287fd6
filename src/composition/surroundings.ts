import { dirname } from 'node:path';
import type { DeployEngine } from '../../plugin-api/index.ts';
import type { AgentService } from '../api/cloudstack-agent/agent-service.ts';
import type { Config } from '../config/config.ts';
import {
  bootServiceCheck,
  cloudApiCheck,
  cloudCertificateCheck,
  databaseCheck,
  diskCheck,
  engineCheck,
  keyFileCheck,
  linksCheck,
  listenerCheck,
  provisioningCheck,
  restoreCheck,
  type SurroundingsCheck,
} from '../operations/survey/surroundings.ts';
import type { BootDoor } from './boot-door.ts';
import type { Cloudstack } from './cloudstack.ts';
import type { Listeners } from './listeners.ts';
import type { Acting } from './operations.ts';

/** What a survey looks at besides machines and switches. */
export function surroundingsOf(
  config: Config,
  { world: { storage, clock }, restore }: Acting,
  { certificates }: Listeners,
  upstreams: readonly DeployEngine[],
  boot: BootDoor,
  agents: AgentService,
  { credentials, reconciler }: Cloudstack,
): readonly SurroundingsCheck[] {
  const {
    stateDir,
    store,
    secrets,
    provisioning: { imageDir },
  } = config;
  const { certificateWarning, freeDisk, slowDatabase, checkTimeout } = config.survey;
  const { provisioning, url } = boot;
  const folders = [stateDir, imageDir, ...(store.type === 'sqlite' ? [dirname(store.file)] : [])];
  return [
    restoreCheck(() => restore.report()),
    databaseCheck(storage, clock, slowDatabase),
    diskCheck(folders, { percent: freeDisk, bytes: 5 * 1024 ** 3 }),
    ...(secrets.key ? [] : [keyFileCheck(secrets.keyFile)]),
    ...Object.entries(certificates).flatMap(([name, files]) =>
      files
        ? [listenerCheck(`the listener ${name}`, () => files.material.cert, clock, certificateWarning)]
        : [],
    ),
    linksCheck(() => agents.statuses(), clock, checkTimeout),
    ...(credentials ? [cloudCertificateCheck(() => credentials.status())] : []),
    ...(reconciler ? [cloudApiCheck(() => reconciler.last)] : []),
    ...(provisioning ? [provisioningCheck(() => provisioning.status)] : []),
    bootServiceCheck(url),
    ...upstreams.map(engineCheck),
  ];
}
