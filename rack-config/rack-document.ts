import { z } from 'zod';

/*
 * The rack JSON as it is written. Each field carries two texts: `describe` says what it means (it goes to the published
 * JSON Schema), the error text says how to write it (it becomes the remedy of a problem). Keys that are not named here
 * are allowed, as in CloudStack, which drops them; the reader warns of them.
 */

/** Printable ASCII of a sane length: such a text may stand in a message as it is. */
const word = (remedy: string) =>
  z
    .string(remedy)
    .min(1, remedy)
    .max(128, remedy)
    .regex(/^[\x20-\x7e]*$/, remedy);

const secret = (meaning: string) =>
  z
    .string('write the secret as text, or env:NAME, or file:/path')
    .describe(`${meaning}: the text itself, env:NAME (an environment variable) or file:/path (a file)`);

const vlanRemedy = 'write a whole number from 1 to 4094';
const vlan = z.int(vlanRemedy).min(1, vlanRemedy).max(4094, vlanRemedy).describe('VLAN id');

const provisioning = z
  .union(
    [z.literal('default-vlan'), z.strictObject({ vlan }, 'write nothing but {"vlan": N}')],
    'write {"vlan": N} with N from 1 to 4094, or "default-vlan"',
  )
  .describe('Where machines boot our ramdisk: a VLAN, or the default VLAN of the switch');

const park = z
  .union(
    [z.literal('shut'), z.strictObject({ vlan }, 'write nothing but {"vlan": N}')],
    'write {"vlan": N} with N from 1 to 4094, or "shut"',
  )
  .describe('Where unused ports of a claimed server wait: a VLAN that leads nowhere, or admin-down');

const portRemedy = 'write the port as text, for example "tengigabitethernet:1/1" or "1/1"';
const port = z.union([word(portRemedy), z.int(portRemedy).min(0, portRemedy)], portRemedy);

const tcpPortRemedy = 'write a whole number from 1 to 65535';

export const l2SwitchSchema = z
  .object(
    {
      ip: word('write the management address of the switch, for example "192.0.2.11"').describe(
        'Management address of the switch: IPv4, IPv6 or host name; for a transport over a local socket its path',
      ),
      username: z.string('write the login name as text').max(256).describe('Login name'),
      password: secret('Login password'),
      type: word('write the switch type exactly as CloudStack does, for example "Force10"').describe(
        'Switch type, in the exact spelling of CloudStack, for example Force10',
      ),
      name: word('write a short name as text, for example "tor-a"')
        .optional()
        .describe('Name of the switch in messages and lists; default: its address'),
      transport: word('write the transport as text, for example "ssh"')
        .optional()
        .describe('How to talk to the switch; default: the first choice of its type'),
      tcpPort: z
        .int(tcpPortRemedy)
        .min(1, tcpPortRemedy)
        .max(65535, tcpPortRemedy)
        .optional()
        .describe('TCP port of the transport; default: the usual one'),
      enablePassword: secret('Password of privileged mode, where it differs').optional(),
      hostKey: z
        .string('write the fingerprint that ssh-keygen -l prints, for example "SHA256:..."')
        .regex(
          /^(SHA256:[A-Za-z0-9+/]{43}=?|[0-9a-fA-F]{64})$/,
          'write the fingerprint that ssh-keygen -l prints ("SHA256:" and 43 characters), or 64 hex digits',
        )
        .optional()
        .describe('SHA-256 fingerprint of the SSH host key: another key is then refused'),
      legacyCrypto: z
        .boolean('write true or false')
        .optional()
        .describe('Allow SHA-1 key exchange and CBC ciphers, for old firmware; default: false'),
      uplinks: z
        .array(port, 'write a list of ports, for example ["fortyGigE 1/49"]')
        .optional()
        .describe('Ports that carry every VLAN we create to the virtual router and the other switch'),
      fabric: word('write the name of the fabric as text')
        .optional()
        .describe('Switches of one fabric share one VLAN space; default: "default"'),
      provisioning: provisioning.optional(),
      park: park.optional(),
    },
    'write {"ip": ..., "username": ..., "password": ..., "type": ...}',
  )
  .describe('The switch of this rack');

export const hostSchema = z
  .object(
    {
      mac: word('write the MAC of the NIC, for example "52:54:00:aa:00:01"').describe('MAC of the NIC'),
      port: port.describe('Port of the switch that the NIC is connected to'),
      uuid: z
        .string('write text, or remove the key')
        .optional()
        .describe("CloudStack's; accepted and not used"),
      server: word('write the name of the server as text')
        .optional()
        .describe('Server that the NIC belongs to: NICs of the same name are one server'),
    },
    'write {"mac": ..., "port": ...}',
  )
  .describe('One NIC of a server, and the port it is connected to');

export const rackSchema = z
  .object(
    {
      l2Switch: l2SwitchSchema,
      hosts: z
        .array(hostSchema, 'write a list: "hosts": [ {"mac": ..., "port": ...} ]')
        .describe('NICs connected to this switch, one entry each'),
    },
    'write {"l2Switch": { ... }, "hosts": [ ... ]}',
  )
  .describe('One switch with what is connected to it');

export const serverSchema = z
  .object(
    {
      name: word('write the name of the server as text').describe('Name of the server'),
      wiring: z
        .enum(['managed', 'none'], 'write "managed" or "none"')
        .optional()
        .describe('"none" = on somebody else\'s network, its switch ports are not ours; default: managed'),
    },
    'write {"name": ..., "wiring": "none"}',
  )
  .describe('A server, where more is to say than its NICs tell');

export const rackDocumentSchema = z
  .object(
    {
      $schema: z.string('write text, or remove the key').optional().describe('For editors; not used'),
      racks: z
        .array(rackSchema, 'write a list: "racks": [ {"l2Switch": { ... }, "hosts": [ ... ]} ]')
        .min(1, 'describe at least one rack: {"l2Switch": { ... }, "hosts": [ ... ]}')
        .describe('One entry for each switch'),
      provisioning: provisioning
        .optional()
        .describe('Default of l2Switch.provisioning; itself "default-vlan" when absent'),
      park: park.optional().describe('Default of l2Switch.park; itself "shut" when absent'),
      servers: z.array(serverSchema, 'write a list: "servers": [ {"name": ...} ]').optional(),
    },
    'write {"racks": [ ... ]}',
  )
  .describe("CloudStack's bare-metal rack configuration, with the optional keys of csbm");

export type L2Switch = z.output<typeof l2SwitchSchema>;
export type Host = z.output<typeof hostSchema>;
export type Provisioning = z.output<typeof provisioning>;
export type Park = z.output<typeof park>;
