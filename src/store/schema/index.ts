import { alarmSchema, apiKeySchema, nonceSchema, principalSchema, secretKeySchema } from './access.ts';
import { bootConversationSchema, bootMacSchema } from './boot.ts';
import { claimSchema, deploymentSchema, goneClaimSchema } from './claim.ts';
import { historySchema, machineHistorySchema } from './history.ts';
import { imageSchema } from './image.ts';
import { instanceBeatSchema, instanceSchema, leaseSchema, deviceRequestSchema } from './instance.ts';
import { operationSchema, stepSchema } from './journal.ts';
import { diskSchema, interfaceSchema, machineSchema, poolSchema, profileSchema } from './machine.ts';
import { fabricSchema } from './network.ts';
import { cloudSchema, clusterSchema, podSchema, siteSchema, zoneSchema } from './place.ts';
import { quarantineSchema, troubleSchema } from './quarantine.ts';
import { recordSchema, recordSequenceSchema } from './record.ts';
import { timelineSchema } from './timeline.ts';
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
  historySchema,
  machineHistorySchema,
  claimSchema,
  goneClaimSchema,
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
  timelineSchema,
  alarmSchema,
  quarantineSchema,
  troubleSchema,
  secretKeySchema,
  instanceSchema,
  instanceBeatSchema,
  leaseSchema,
  deviceRequestSchema,
] as const;
