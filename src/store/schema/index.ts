import { alarmSchema, apiKeySchema, nonceSchema, principalSchema, secretKeySchema } from './access.ts';
import { bootConversationSchema, bootMacSchema } from './boot.ts';
import { claimSchema, deploymentSchema } from './claim.ts';
import { imageSchema } from './image.ts';
import { operationSchema, stepSchema } from './journal.ts';
import { diskSchema, interfaceSchema, machineSchema, poolSchema, profileSchema } from './machine.ts';
import { fabricSchema } from './network.ts';
import { cloudSchema, clusterSchema, podSchema, siteSchema, zoneSchema } from './place.ts';
import { recordSchema, recordSequenceSchema } from './record.ts';
import { portStateSchema, rackConfigSchema, switchSchema, wireSchema } from './rack.ts';

/** Every table. */
export const schemas = [
  siteSchema,
  cloudSchema,
  zoneSchema,
  podSchema,
  clusterSchema,
  fabricSchema,
  rackConfigSchema,
  switchSchema,
  wireSchema,
  machineSchema,
  interfaceSchema,
  diskSchema,
  profileSchema,
  poolSchema,
  portStateSchema,
  imageSchema,
  claimSchema,
  deploymentSchema,
  operationSchema,
  stepSchema,
  bootConversationSchema,
  bootMacSchema,
  principalSchema,
  apiKeySchema,
  nonceSchema,
  recordSchema,
  recordSequenceSchema,
  alarmSchema,
  secretKeySchema,
] as const;
