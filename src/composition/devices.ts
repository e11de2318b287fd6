import type {
  DeployEngine,
  DeviceContext,
  ImageCatalogue,
  PowerDriver,
  SecretSources,
  SwitchDriver,
} from '../../plugin-api/index.ts';
import type { Config } from '../config/config.ts';
import type { Storage } from '../core/storage/storage.ts';
import { createMaasEngine } from '../drivers/deploy/maas/maas-engine.ts';
import { maasSettings, type MaasSettings } from '../drivers/deploy/maas/maas-settings.ts';
import { createNativeEngine } from '../drivers/deploy/native/native-engine.ts';
import { noCloudFiles } from '../drivers/deploy/native/nocloud.ts';
import { createIpmiDriver } from '../drivers/power/ipmi/ipmi-driver.ts';
import { switchRegistry } from '../drivers/switch/registry.ts';
import { BootConversationService } from '../operations/boot/boot-conversations.ts';
import { imageFileFault } from '../operations/image-file-fault.ts';
import { ImageLibrary } from '../operations/images/image-library.ts';
import type { Instances } from '../operations/instances/instances.ts';
import { StoredOrderNotes } from '../operations/order-notes.ts';
import type { Base } from './base.ts';

type Upstreams = readonly (readonly [name: string, settings: MaasSettings])[];

/** The only ways to act on the world, and what the engines install. */
export interface Devices {
  readonly context: DeviceContext;
  readonly power: ReadonlyMap<string, PowerDriver>;
  readonly switches: ReadonlyMap<string, SwitchDriver>;
  readonly boots: BootConversationService;
  readonly images: ImageLibrary;
  /** Those of upstream MAASes. */
  readonly upstreams: readonly DeployEngine[];
  /** All of them, by type. */
  readonly engines: ReadonlyMap<string, DeployEngine>;
}

/** The upstream MAASes, with their secrets. @throws as {@link maasSettings} */
export function readUpstreams({ deploy }: Config, secrets: SecretSources): Upstreams {
  return Object.entries(deploy.maas).map(([name, settings]) => [name, maasSettings(name, settings, secrets)]);
}

export function createDevices(
  base: Base,
  storage: Storage,
  instances: Instances,
  upstreams: Upstreams,
  more: readonly DeployEngine[],
): Devices {
  const { config, clock, log } = base;
  const context: DeviceContext = {
    clock,
    mayChange: () => instances.assertCurrent(),
    log: (level, message, fields) => log[level](fields ?? {}, message),
  };
  // Every BMC is read again and again: a session that is kept costs it less than one that is set up each time.
  const ipmi = createIpmiDriver(context, { idle: 'keep-alive', ...config.power.settings });
  const switches = new Map(
    [...switchRegistry].map(([type, { create }]) => [type, create(context, config.switch.settings[type])]),
  );
  const boots = new BootConversationService({
    storage,
    clock,
    log,
    newcomers: { site: 'default', pool: 'default' },
  });
  const images = createImages(base, storage);
  const imageCatalogue: ImageCatalogue = {
    find: (name) => images.find(name),
    list: () => images.list(),
    fault: (name) => imageFileFault(images, name),
  };
  const native = createNativeEngine(
    { ...context, conversations: boots, imageCatalogue },
    config.provisioning.settings,
  );
  const maasHost = { ...context, notes: new StoredOrderNotes(storage), firstBootFiles: noCloudFiles };
  const maas = upstreams.map(([name, settings]) =>
    createMaasEngine(maasHost, settings, name === 'default' ? 'maas' : `maas:${name}`),
  );
  return {
    context,
    power: new Map([[ipmi.type, ipmi]]),
    switches,
    boots,
    images,
    upstreams: maas,
    engines: new Map([native, ...maas, ...more].map((engine) => [engine.type, engine])),
  };
}

function createImages({ config, clock, log }: Base, storage: Storage): ImageLibrary {
  const { conversion, imageDir: folder } = config.provisioning;
  const { qemuImg, timeout, maxRawGiB } = conversion;
  return new ImageLibrary({
    storage,
    folder,
    clock,
    log,
    conversion: { qemuImg, timeout, maxRawBytes: maxRawGiB * 1024 ** 3 },
  });
}
