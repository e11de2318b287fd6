import { isIP } from 'node:net';
import { z } from 'zod';
import { duration, flag, optionalPath, settingFacts, text } from '../setting.ts';
import { api, reconcile } from './cloudstack-api.ts';
import { direct } from './cloudstack-direct.ts';

/** An address and TCP port. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

const defaultPort = 8250;
const serverRemedy =
  'write host or host:port, for example "cloudstack.example.org:8250" or "[2001:db8::1]:8250"';

const server = z.string(serverRemedy).transform((written, context): ServerAddress => {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]+))(?::(\d{1,5}))?$/.exec(written);
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  const host = match?.[1] ?? match?.[2];
  if (host !== undefined && port >= 1 && port <= 65535) return { host, port };
  context.addIssue({ code: 'custom', message: serverRemedy });
  return z.NEVER;
});

const addressRemedy = 'write an IP address, for example 192.0.2.10';
const address = z
  .string(addressRemedy)
  .refine((text) => isIP(text) !== 0 && !text.includes('%'), addressRemedy);

const agent = z
  .strictObject({
    enabled: flag('Whether to connect to CloudStack as an agent', false),
    servers: z.array(server, 'write a list of host:port').default([]).register(settingFacts, {
      kind: 'list',
      meaning:
        'Management servers as host:port; each machine connects to one of them, port 8250 unless said otherwise',
      default: '[]',
    }),
    caFile: optionalPath("CloudStack's CA certificate (PEM), as its API listCaCertificate gives it: the pin"),
    trustAll: flag('Accept any certificate of the management server: for labs only', false),
    clientCertFile: optionalPath('Client certificate (PEM), for ca.plugin.root.auth.strictness = true'),
    clientKeyFile: optionalPath('Private key (PEM) of the client certificate'),
    certificateAddresses: z
      .array(address, 'write a list of IP addresses')
      .default([])
      .register(settingFacts, {
        kind: 'list',
        meaning:
          'Addresses for the certificate that CloudStack gives over the link, besides the own ones: behind NAT, what CloudStack sees',
        default: '[]',
      }),
    certificateWarning: duration('How long before its end the client certificate is warned of', '15d'),
  })
  .superRefine((value, context) => {
    const complain = (key: string, what: string, message: string): void => {
      context.addIssue({ code: 'custom', path: [key], params: { what }, message });
    };
    if (value.caFile !== undefined && value.trustAll) {
      complain('trustAll', 'contradicts caFile', 'keep one of caFile and trustAll');
    }
    if ((value.clientCertFile === undefined) !== (value.clientKeyFile === undefined)) {
      complain(
        value.clientCertFile === undefined ? 'clientKeyFile' : 'clientCertFile',
        'stands alone',
        'set clientCertFile and clientKeyFile together',
      );
    }
    if (!value.enabled) return;
    if (value.servers.length === 0) {
      complain('servers', 'names no server, although the agent is enabled', 'list at least one host:port');
    }
    if (value.caFile === undefined && !value.trustAll) {
      complain('caFile', 'is missing: no server could be trusted', 'set caFile; in a lab, trustAll: true');
    }
  });

export const cloudstackSection = z.strictObject({
  name: text('Name of this CloudStack: makes the names of its instances unique', 'cloudstack'),
  agent: agent.prefault({}),
  api: api.prefault({}),
  reconcile: reconcile.prefault({}),
  direct: direct.prefault({}),
});
