import type { MaasHandler } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { accountHandler } from './account.ts';
import { blockDeviceHandler, blockDevicesHandler, partitionsHandler } from './block-devices.ts';
import { interfaceHandler, interfacesHandler } from './interfaces.ts';
import { machineHandler, nodeHandler } from './machine.ts';
import { machinesHandler, nodesHandler } from './machines.ts';
import { bootResourceHandler, bootResourcesHandler } from './boot-resources.ts';
import { bootSelectionsHandlers, bootSourcesHandlers } from './boot-sources.ts';
import { rackControllersHandlers, regionControllersHandlers } from './controllers.ts';
import { withDeviceInterfaces } from './device-interfaces.ts';
import { devicesHandlers } from './devices.ts';
import { dnsRecordsHandlers } from './dns-records.ts';
import { dnsResourcesHandlers } from './dns-resources.ts';
import { domainsHandlers } from './domains.ts';
import { eventsHandler } from './events.ts';
import { fabricsHandlers } from './fabrics.ts';
import { fileHandler, filesHandler } from './files.ts';
import { ipAddressesHandler } from './ip-addresses.ts';
import { ipRangesHandlers } from './ip-ranges.ts';
import { keptResourcesHandlers } from './kept-resources.ts';
import { maasHandler } from './maas.ts';
import { resourcePoolHandler, resourcePoolsHandler } from './resource-pools.ts';
import { spacesHandlers } from './spaces.ts';
import { sshKeysHandlers } from './ssh-keys.ts';
import { sslKeysHandlers } from './ssl-keys.ts';
import { staticRoutesHandlers } from './static-routes.ts';
import { subnetsHandlers } from './subnets.ts';
import { tagsHandlers } from './tags.ts';
import { vlansHandlers } from './vlans.ts';
import { zonesHandlers } from './zones.ts';
import { userHandler, usersHandler } from './users.ts';
import { versionHandler } from './version.ts';

/** Every address of the API. */
export function handlers(context: MaasContext): readonly MaasHandler[] {
  return [
    versionHandler(context),
    accountHandler(context),
    usersHandler(context),
    userHandler(context),
    machinesHandler(context),
    machineHandler(context),
    nodesHandler(context),
    nodeHandler(context),
    ...withDeviceInterfaces(context, [interfacesHandler(context), interfaceHandler(context)]),
    blockDevicesHandler(context),
    blockDeviceHandler(context),
    partitionsHandler(context),
    ...fabricsHandlers(context),
    ...vlansHandlers(context),
    ...spacesHandlers(context),
    ...subnetsHandlers(context),
    ...ipRangesHandlers(context),
    ipAddressesHandler(context),
    ...staticRoutesHandlers(context),
    ...zonesHandlers(context),
    resourcePoolsHandler(context),
    resourcePoolHandler(context),
    ...domainsHandlers(context),
    ...dnsResourcesHandlers(context),
    ...dnsRecordsHandlers(context),
    ...tagsHandlers(context),
    ...devicesHandlers(context),
    ...sshKeysHandlers(context),
    ...sslKeysHandlers(context),
    filesHandler(context),
    fileHandler(context),
    eventsHandler(context),
    bootResourcesHandler(context),
    bootResourceHandler(context),
    ...bootSourcesHandlers(context),
    ...bootSelectionsHandlers(context),
    ...rackControllersHandlers(context),
    ...regionControllersHandlers(context),
    maasHandler(context),
    ...keptResourcesHandlers(context),
  ];
}
