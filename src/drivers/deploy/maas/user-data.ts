import { stringify } from 'yaml';

/** Where cloud-init's NoCloud source looks for its files without a disk of its own (cloud-init, DataSourceNoCloud). */
const seedFolder = '/var/lib/cloud/seed/nocloud';
/** Sorted behind every file that MAAS and the packages leave there: the last one says which sources there are. */
const sourcesFile = '/etc/cloud/cloud.cfg.d/99-csbm.cfg';
/**
 * What MAAS's install leaves for cloud-init: its data source with the machine's credentials and reporting, and curtin's network
 * config, which would win over that of the data source (maas/maas, `compose_preseed`; curtin, `apply_networking`).
 */
const leftBehind = [
  '/etc/cloud/cloud.cfg.d/90_maas*.cfg',
  '/etc/cloud/cloud.cfg.d/90_dpkg_maas.cfg',
  '/etc/cloud/cloud.cfg.d/50-curtin-networking.cfg',
];

/**
 * The user data that MAAS hands to the first boot of an installed system, which still happens on the provisioning network. It
 * retires the MAAS data source, which cannot be reached from the tenant's VLAN, in favour of NoCloud with the files given, and
 * switches the machine off. The next boot, in the tenant's VLAN, is then the first one of a new instance: it configures the
 * network, hostname and SSH keys, and runs the tenant's own user data, whatever format that has.
 * @param files `meta-data`, `user-data`, `network-config`
 * @param powerOff whether the machine switches itself off at the end
 */
export function retiringUserData(files: Readonly<Record<string, string>>, powerOff: boolean): string {
  const seed = Object.entries(files).map(([name, text]) => ({
    path: `${seedFolder}/${name}`,
    owner: 'root:root',
    permissions: '0600',
    encoding: 'b64',
    content: Buffer.from(text).toString('base64'),
  }));
  const sources = {
    path: sourcesFile,
    owner: 'root:root',
    permissions: '0644',
    content: 'datasource_list: [ NoCloud, None ]\n',
  };
  const config = {
    write_files: [...seed, sources],
    runcmd: [
      ['sh', '-c', `rm -f ${leftBehind.join(' ')}`],
      // What has answered once is otherwise asked for first.
      ['rm', '-f', '/var/lib/cloud/instance/obj.pkl'],
      ['sync'],
    ],
    ...(powerOff && {
      power_state: { mode: 'poweroff', message: 'installed', timeout: 30, condition: true },
    }),
  };
  return `#cloud-config\n${stringify(config, { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false })}`;
}
