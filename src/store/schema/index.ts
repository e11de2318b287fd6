import { alarmSchema, principalSchema, secretKeySchema } from './access.ts';
import { bootConversationSchema, bootMacSchema } from './boot.ts';
import { claimSchema, deploymentSchema } from './claim.ts';
import { imageSchema } from './image.ts';
import { operationSchema, stepSchema } from './journal.ts';
import { diskSchema, interfaceSchema, machineSchema } from './machine.ts';
import { fabricSchema, subnetSchema, vlanSchema } from './network.ts';
import { cloudSchema, clusterSchema, podSchema, siteSchema, zoneSchema } from './place.ts';
import { portStateSchema, rackConfigSchema, switchSchema, wireSchema } from './rack.ts';

/** Every table. */
export const schemas = [
  siteSchema,
  cloudSchema,
  zoneSchema,
  podSchema,
  clusterSchema,
  fabricSchema,
  vlanSchema,
  subnetSchema,
  rackConfigSchema,
  switchSchema,
  wireSchema,
  machineSchema,
  interfaceSchema,
  diskSchema,
  portStateSchema,
  imageSchema,
  claimSchema,
  deploymentSchema,
  operationSchema,
  stepSchema,
  bootConversationSchema,
  bootMacSchema,
  principalSchema,
  alarmSchema,
  secretKeySchema,
] as const;
