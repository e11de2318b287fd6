import { handlers } from '../../src/api/maas/handlers/index.ts';
import type { MaasAction, MaasHandler } from '../../src/api/maas/handler.ts';
import type { MaasContext } from '../../src/api/maas/maas-context.ts';

/** What MAAS has and this API refuses, and why. */
export interface MaasRefused {
  /** Below `/MAAS/api/2.0/`. */
  readonly path: string;
  /** Method, with an operation where it has one. */
  readonly actions: readonly string[];
  readonly reason: string;
}

const disks = 'An image brings its own partitions: no engine here lays out disks.';
const crud = ['GET', 'POST'];
const item = ['GET', 'PUT', 'DELETE'];
const virtual = 'Machines are physical: there are no hosts of virtual machines.';
const results =
  'No scripts are run on machines; what commissioning found is in the machine, its evidence in the admin API.';
const scripts = 'No scripts of others are run on machines.';
const images = 'Images are uploaded by `csbm image add`, which checks them; none are downloaded.';
const people = 'Users and rights are principals: `csbm principal`.';
const node = 'nodes/{system_id}/';

export const maasRefusals: readonly MaasRefused[] = [
  {
    path: 'machines/',
    actions: ['POST add_chassis'],
    reason: 'A machine is enrolled with its own BMC and MACs, not found by a chassis.',
  },
  { path: 'machines/', actions: ['POST clone'], reason: disks },
  {
    path: 'machines/{system_id}/',
    actions: ['POST test', 'POST override_failed_testing'],
    reason: scripts,
  },
  {
    path: 'machines/{system_id}/',
    actions: ['POST rescue_mode', 'POST exit_rescue_mode'],
    reason:
      'There is no rescue system; the console and the BMC are reached by `csbm console` and `csbm power`.',
  },
  { path: 'machines/{system_id}/', actions: ['POST mount_special', 'POST unmount_special'], reason: disks },
  {
    path: 'machines/{system_id}/',
    actions: ['GET get_curtin_config'],
    reason: 'Images are written as they are, not by curtin.',
  },
  { path: `${node}blockdevices/`, actions: ['POST'], reason: disks },
  {
    path: `${node}blockdevices/{id}/`,
    actions: [
      'PUT',
      'DELETE',
      ...['add_tag', 'remove_tag', 'format', 'unformat', 'mount', 'unmount'].map((op) => `POST ${op}`),
    ],
    reason: disks,
  },
  { path: `${node}blockdevices/{device_id}/partitions/`, actions: ['POST'], reason: disks },
  { path: `${node}blockdevices/{device_id}/partition/{id}`, actions: item, reason: disks },
  { path: `${node}volume-groups/`, actions: crud, reason: disks },
  { path: `${node}volume-group/{id}/`, actions: item, reason: disks },
  { path: `${node}raids/`, actions: crud, reason: disks },
  { path: `${node}raid/{id}/`, actions: item, reason: disks },
  { path: `${node}bcaches/`, actions: crud, reason: disks },
  { path: `${node}bcache/{id}/`, actions: item, reason: disks },
  { path: `${node}bcache-cache-sets/`, actions: crud, reason: disks },
  { path: `${node}bcache-cache-set/{id}/`, actions: item, reason: disks },
  { path: `${node}vmfs-datastores/`, actions: crud, reason: disks },
  { path: `${node}vmfs-datastore/{id}/`, actions: item, reason: disks },
  { path: `${node}results/`, actions: ['GET'], reason: results },
  { path: 'installation-results/', actions: ['GET'], reason: results },
  { path: 'commissioning-results/', actions: ['GET'], reason: results },
  { path: 'scripts/', actions: ['POST'], reason: scripts },
  { path: 'scripts/{name}', actions: item, reason: scripts },
  { path: 'commissioning-scripts/', actions: crud, reason: scripts },
  { path: 'boot-resources/', actions: ['POST', 'POST import', 'POST stop_import'], reason: images },
  { path: 'boot-resources/{id}/upload/{file_id}/', actions: ['PUT'], reason: images },
  { path: 'vm-hosts/', actions: crud, reason: virtual },
  { path: 'pods/', actions: crud, reason: virtual },
  { path: 'vm-clusters/', actions: ['GET'], reason: virtual },
  { path: 'virtual-machines/{id}', actions: ['GET', 'DELETE'], reason: virtual },
  {
    path: 'account/prefs/sshkeys/',
    actions: ['POST import'],
    reason: 'The service fetches nothing from the internet: give the key itself.',
  },
  {
    path: 'discovery/',
    actions: ['POST clear', 'POST scan'],
    reason: 'Networks are not scanned; machines that boot unknown show up by themselves.',
  },
  {
    path: 'notifications/',
    actions: ['POST'],
    reason: 'What a person should look at is in `csbm alarms`.',
  },
  { path: 'groups/', actions: crud, reason: people },
  { path: 'oidc-providers/', actions: crud, reason: people },
];

const methodNames = { GET: 'read', POST: 'create', PUT: 'update', DELETE: 'delete' } as const;

/** Every address with what acts, what is only kept, and what is refused: the compatibility page's table. */
export function maasCompatibility(): string {
  // Handlers look at the rest of their context only when they are asked.
  const settings = {
    reportedVersion: '',
    strict: null,
    eraseShownAs: 'Disk erasing',
    releasingFor: [],
  } as const;
  const served = handlers({ settings } as unknown as MaasContext);
  const paths = [...new Set([...served.map(({ path }) => path), ...maasRefusals.map(({ path }) => path)])];
  const rows = paths.sort().map((path) => {
    const handler = served.find((one) => one.path === path);
    const refused = maasRefusals.filter((one) => one.path === path);
    return [
      `\`${path}\``,
      names(handler, ({ effect }) => effect !== 'stored'),
      names(handler, ({ effect }) => effect === 'stored'),
      refused.map(({ actions, reason }) => `${actions.map(shown).join(', ')}: ${reason}`).join('<br>'),
    ];
  });
  const lines = [['Address', 'Acts', 'Stored without effect here', 'Refused'], ['-', '-', '-', '-'], ...rows];
  return lines
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');
}

function names(handler: MaasHandler | undefined, wanted: (action: MaasAction) => boolean): string {
  const found = handler?.actions.filter(wanted) ?? [];
  return found.map(({ method, op }) => shown(op === null ? method : `${method} ${op}`)).join(', ');
}

/** `POST allocate` as `op=allocate`, `POST` as `create`. */
function shown(action: string): string {
  const [method = '', op] = action.split(' ');
  return op === undefined ? methodNames[method as keyof typeof methodNames] : `\`${op}\``;
}
