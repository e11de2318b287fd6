import {
  addressField,
  flagField,
  macsField,
  nameField,
  needed,
  nullableField,
  textField,
  wholeField,
  wordsField,
} from '../form-field.ts';
import type { MaasHandler } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { NetworkLookup } from '../network-lookup.ts';
import { apiRoot } from '../shapes/resource-uri.ts';
import { noChoice, storedResource } from '../stored-resource.ts';
import { textOf } from '../text-of.ts';

/** What concerns Ubuntu's packages, MAAS's own DHCP and Windows: kept, so that clients find it again, and used by nothing here. */
export function keptResourcesHandlers({ storage }: MaasContext): readonly MaasHandler[] {
  return [
    ...storedResource(storage, {
      kind: 'package-repository',
      what: 'PackageRepository',
      names: ['PackageRepositoriesHandler', 'PackageRepositoryHandler'],
      doc: 'package repositories, which are only kept',
      paths: ['package-repositories/', 'package-repositories/{id}/'],
      form: {
        name: needed(nameField('Name of the repository.')),
        url: needed(textField('Its address.', { max: 2048 })),
        distributions: wordsField('Distributions.'),
        disabled_pockets: wordsField('Pockets that are not used.'),
        disabled_components: wordsField('Components that are not used.'),
        components: wordsField('Components.'),
        arches: wordsField('Architectures.'),
        key: textField('Its key.', { max: 16_384 }),
        disable_sources: flagField('Whether sources are left out.', true),
        enabled: flagField('Whether it is used.', true),
      },
      name: (body) => textOf(body['name']),
      around: async () => null,
      shape: ({ id, body }) => ({ ...body, id, resource_uri: `${apiRoot}/package-repositories/${id}/` }),
    }),
    ...storedResource(storage, {
      kind: 'dhcp-snippet',
      what: 'DHCPSnippet',
      names: ['DHCPSnippetsHandler', 'DHCPSnippetHandler'],
      doc: 'snippets for a DHCP server, which are only kept',
      paths: ['dhcp-snippets/', 'dhcp-snippets/{id}/'],
      form: {
        name: needed(nameField('Name of the snippet.')),
        value: needed(textField('What it says.', { max: 16_384 })),
        description: textField('For people.', { max: 4096 }),
        enabled: flagField('Whether it is used.', true),
        node: nullableField(textField('System id of the machine that it is for.')),
        subnet: nullableField(wholeField('Number of the subnet.', null, { min: 1, max: 2 ** 31 })),
        iprange: nullableField(wholeField('Number of the range.', null, { min: 1, max: 2 ** 31 })),
        global_snippet: flagField('Whether it is for everything.'),
      },
      around: (tx) => NetworkLookup.read(tx),
      shape: ({ id, body }, network) => ({
        ...body,
        id,
        node: body['node'] === null ? null : { system_id: body['node'] },
        subnet: typeof body['subnet'] === 'number' ? network.subnet(body['subnet']) : null,
        history: [],
        resource_uri: `${apiRoot}/dhcp-snippets/${id}/`,
      }),
    }),
    ...storedResource(storage, {
      kind: 'license-key',
      what: 'LicenseKey',
      names: ['LicenseKeysHandler', 'LicenseKeyHandler'],
      doc: 'license keys, which are only kept',
      paths: ['license-keys/', 'license-key/{osystem}/{distro_series}'],
      // What gomaasclient asks for.
      aliases: [[], ['license-key/{osystem}/{distro_series}/']],
      form: {
        osystem: needed(textField('Operating system.')),
        distro_series: needed(textField('Its release.')),
        license_key: needed(textField('The key.')),
      },
      nameField: 'distro_series',
      name: (body) => `${textOf(body['osystem'])}/${textOf(body['distro_series'])}`,
      find: (tx, { param }) =>
        tx.records.findByName('license-key', `${param('osystem')}/${param('distro_series')}`),
      around: async () => null,
      shape: ({ name, body }) => ({ ...body, resource_uri: `${apiRoot}/license-key/${name!}` }),
    }),
    ...storedResource(storage, {
      kind: 'reserved-ip',
      what: 'ReservedIP',
      names: ['ReservedIpsHandler', 'ReservedIpHandler'],
      doc: 'addresses for MACs, which are only kept',
      paths: ['reservedips/', 'reservedips/{id}/'],
      form: {
        ip: needed(addressField('The address.')),
        subnet: nullableField(wholeField('Number of its subnet.', null, { min: 1, max: 2 ** 31 })),
        mac_address: needed(macsField('Who gets it.')),
        comment: textField('For people.'),
      },
      nameField: 'ip',
      name: (body) => textOf(body['ip']),
      around: (tx) => NetworkLookup.read(tx),
      shape: ({ id, body }, network) => ({
        id,
        ip: body['ip'],
        subnet: typeof body['subnet'] === 'number' ? network.subnet(body['subnet']) : null,
        mac_address: (body['mac_address'] as readonly string[])[0],
        comment: body['comment'],
        resource_uri: `${apiRoot}/reservedips/${id}/`,
      }),
      check: async ({ tx, body }) => {
        const { subnet } = body;
        if (typeof subnet === 'number' && !(await tx.records.find('subnet', subnet)))
          throw noChoice('subnet');
        return body;
      },
    }),
    ...emptyLists,
  ];
}

/** Lists that are always empty here: nothing is discovered, notified or scripted. */
const emptyLists: readonly MaasHandler[] = [
  emptyList('DiscoveriesHandler', 'discovery/', 'What was seen on the networks: nothing is watched here.', [
    'by_unknown_ip',
    'by_unknown_ip_and_mac',
    'by_unknown_mac',
  ]),
  emptyList('NotificationsHandler', 'notifications/', 'Notifications: there are none here.'),
  emptyList('NodeScriptsHandler', 'scripts/', 'Scripts that machines run: none can be added here.'),
];

function emptyList(name: string, path: string, doc: string, ops: readonly string[] = []): MaasHandler {
  return {
    name,
    doc,
    path,
    actions: [null, ...ops].map((op) => ({
      method: 'GET',
      op,
      doc: 'Always an empty list.',
      handle: () => ({ json: [] }),
    })),
  };
}
