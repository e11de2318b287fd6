import type { MaasHandler } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';

/** What clients look for before they use a part of the API; MAAS has not changed the list for years. */
const capabilities = [
  'networks-management',
  'static-ipaddresses',
  'ipv6-deployment-ubuntu',
  'devices-management',
  'storage-deployment-ubuntu',
  'network-deployment-ubuntu',
  'bridging-interface-ubuntu',
  'bridging-automatic-ubuntu',
  'authenticate-api',
];

/** `version/` */
export function versionHandler({ settings }: MaasContext): MaasHandler {
  return {
    name: 'VersionHandler',
    doc: 'Version and capabilities of this API.',
    path: 'version/',
    actions: [
      {
        method: 'GET',
        op: null,
        access: 'anybody',
        doc: 'Which MAAS this speaks like, and what it can do.',
        handle: () => ({ json: { capabilities, version: settings.reportedVersion, subversion: '' } }),
      },
    ],
  };
}
