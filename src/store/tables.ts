import type { DataSource } from 'typeorm';
import { alarmSchema, apiKeySchema, nonceSchema, principalSchema, secretKeySchema } from './schema/access.ts';
import { bootConversationSchema, bootMacSchema } from './schema/boot.ts';
import { claimSchema, deploymentSchema, goneClaimSchema } from './schema/claim.ts';
import { historySchema, machineHistorySchema } from './schema/history.ts';
import { imageSchema } from './schema/image.ts';
import { instanceBeatSchema, instanceSchema, leaseSchema, deviceRequestSchema } from './schema/instance.ts';
import { operationSchema, stepSchema } from './schema/journal.ts';
import { diskSchema, interfaceSchema, machineSchema, poolSchema, profileSchema } from './schema/machine.ts';
import { fabricSchema } from './schema/network.ts';
import { cloudSchema, clusterSchema, podSchema, siteSchema, zoneSchema } from './schema/place.ts';
import { portStateSchema, rackConfigSchema, switchSchema, wireSchema } from './schema/rack.ts';
import { quarantineSchema, troubleSchema } from './schema/quarantine.ts';
import { recordSchema, recordSequenceSchema } from './schema/record.ts';
import { timelineSchema } from './schema/timeline.ts';
import { Table } from './table.ts';

/** The tables that the repositories write, with their composed statements: made once per database. */
export type Tables = ReturnType<typeof createTables>;

export function createTables(source: DataSource) {
  return {
    site: new Table(source, siteSchema),
    cloud: new Table(source, cloudSchema),
    zone: new Table(source, zoneSchema),
    pod: new Table(source, podSchema),
    cluster: new Table(source, clusterSchema),
    fabric: new Table(source, fabricSchema),
    rackConfig: new Table(source, rackConfigSchema),
    switch: new Table(source, switchSchema),
    wire: new Table(source, wireSchema),
    machine: new Table(source, machineSchema),
    interface: new Table(source, interfaceSchema),
    disk: new Table(source, diskSchema),
    profile: new Table(source, profileSchema),
    pool: new Table(source, poolSchema),
    portState: new Table(source, portStateSchema),
    image: new Table(source, imageSchema),
    claim: new Table(source, claimSchema),
    goneClaim: new Table(source, goneClaimSchema),
    deployment: new Table(source, deploymentSchema),
    operation: new Table(source, operationSchema),
    step: new Table(source, stepSchema),
    bootConversation: new Table(source, bootConversationSchema),
    bootMac: new Table(source, bootMacSchema),
    principal: new Table(source, principalSchema),
    apiKey: new Table(source, apiKeySchema),
    nonce: new Table(source, nonceSchema),
    record: new Table(source, recordSchema),
    recordSequence: new Table(source, recordSequenceSchema),
    history: new Table(source, historySchema),
    machineHistory: new Table(source, machineHistorySchema),
    timeline: new Table(source, timelineSchema),
    alarm: new Table(source, alarmSchema),
    quarantine: new Table(source, quarantineSchema),
    trouble: new Table(source, troubleSchema),
    secretKey: new Table(source, secretKeySchema),
    instance: new Table(source, instanceSchema),
    instanceBeat: new Table(source, instanceBeatSchema),
    lease: new Table(source, leaseSchema),
    deviceRequest: new Table(source, deviceRequestSchema),
  };
}
