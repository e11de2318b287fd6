import { z } from 'zod';
import { flag, optionalPath, settingFacts, text } from '../setting.ts';

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
});
