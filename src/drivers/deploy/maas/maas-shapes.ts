import { z } from 'zod';

/*
 * What MAAS 2.0 answers, as far as this engine reads it: keys that are not here may be anything. Shapes by MAAS's
 * `DISPLAYED_MACHINE_FIELDS` and the objects in it (maas/maas, src/maasserver/api/machines.py).
 */

/** Machine states by number (maas/maas, `NODE_STATUS`); the same in every version of the API. */
export const status = {
  new: 0,
  commissioning: 1,
  failedCommissioning: 2,
  missing: 3,
  ready: 4,
  deployed: 6,
  broken: 8,
  deploying: 9,
  allocated: 10,
  failedDeployment: 11,
  releasing: 12,
  releasingFailed: 13,
  diskErasing: 14,
  failedDiskErasing: 15,
  testing: 21,
  failedTesting: 22,
} as const;

const link = z.object({
  id: z.int(),
  mode: z.string(),
  subnet: z.object({ id: z.int() }).nullish(),
});

export const interfaceShape = z.object({
  id: z.int(),
  name: z.string(),
  type: z.string(),
  mac_address: z.string().nullish(),
  vlan: z.object({ id: z.int() }).nullish(),
  /** Names. */
  parents: z.array(z.string()).default([]),
  links: z.array(link).default([]),
  /** Empty text where there are none. */
  params: z.unknown(),
  link_connected: z.boolean().nullish(),
  link_speed: z.number().nullish(),
  interface_speed: z.number().nullish(),
});
export type MaasInterface = z.output<typeof interfaceShape>;

const disk = z.object({
  name: z.string(),
  model: z.string().nullish(),
  serial: z.string().nullish(),
  size: z.number(),
  tags: z.array(z.string()).default([]),
});

export const machineShape = z.object({
  system_id: z.string().min(1),
  hostname: z.string(),
  status: z.int(),
  status_name: z.string(),
  status_message: z.string().nullish(),
  error_description: z.string().nullish(),
  owner: z.string().nullish(),
  owner_data: z.record(z.string(), z.string()).nullish(),
  tag_names: z.array(z.string()).default([]),
  architecture: z.string().nullish(),
  osystem: z.string().nullish(),
  distro_series: z.string().nullish(),
  cpu_count: z.number().default(0),
  /** MiB. */
  memory: z.number().default(0),
  bios_boot_method: z.string().nullish(),
  power_state: z.string().nullish(),
  hardware_info: z.record(z.string(), z.unknown()).nullish(),
  boot_interface: interfaceShape.nullish(),
  interface_set: z.array(interfaceShape).default([]),
  boot_disk: disk.nullish(),
  physicalblockdevice_set: z.array(disk).default([]),
});
export type MaasMachine = z.output<typeof machineShape>;

export const machinesShape = z.array(machineShape);

/** By system id; what is in them depends on the power type. */
export const powerParametersShape = z.record(z.string(), z.record(z.string(), z.unknown()));

export const userShape = z.object({ username: z.string().min(1) });

export const bootResourcesShape = z.array(
  z.object({ name: z.string().min(1), architecture: z.string().default('') }),
);

export const rackControllersShape = z.array(z.object({ system_id: z.string().min(1) }));

export const rackImagesShape = z.object({ images: z.array(z.object({ name: z.string() })).default([]) });

export const powerStateShape = z.object({ state: z.string() });

export const eventsShape = z.object({
  events: z.array(
    z.object({
      created: z.string().nullish(),
      type: z.string().nullish(),
      description: z.string().nullish(),
    }),
  ),
});

/** An answer that nobody reads. */
export const anyShape = z.unknown();
