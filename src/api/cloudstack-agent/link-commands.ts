import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { ParsedEntry } from '../../wire/cloudstack/body.ts';
import { flagField } from '../../wire/cloudstack/gson-reader.ts';
import type { GsonObject } from '../../wire/cloudstack/gson-writer.ts';
import { answerClass, answerEntry } from '../../wire/cloudstack/message/answer.ts';
import { readReadyCommand, readyCommandClass } from '../../wire/cloudstack/message/ready-command.ts';
import {
  migrateAgentConnectionCommandClass,
  readReadyServerList,
  readServerList,
  setupMsListCommandClass,
} from '../../wire/cloudstack/message/server-list.ts';
import {
  readSetupCertificateCommand,
  setupCertificateCommandClass,
  setupKeyStoreCommandClass,
} from '../../wire/cloudstack/message/setup-certificate-command.ts';
import { removesHost, shutdownCommandClass } from '../../wire/cloudstack/message/shutdown-command.ts';
import type { CloudCredentials } from './agent-settings.ts';
import { failedAnswer, type CommandAnswer } from './command-table.ts';
import type { ServerAddress, ServerList } from './server-list.ts';

/** What commands about the connection itself may do with it. */
export interface LinkControl {
  readonly server: ServerAddress;
  readonly servers: ServerList;
  readonly credentials: CloudCredentials;
  /** Our addresses on this link. */
  readonly addresses: readonly string[];
  ready(hostId: bigint | null): Promise<void>;
  /** Looks at the preferred server from time to time as the list of servers says now, and at once if asked. */
  balance(now: boolean): void;
  moveSoon(to: ServerAddress): void;
  dismiss(forget: boolean): void;
}

interface LinkHandler {
  readonly answerClass: string;
  /** What csbm does, for the documentation. */
  readonly does: string;
  run(entry: ParsedEntry, link: LinkControl): Promise<Outcome>;
}

interface Outcome {
  /** Fields of the answer's own class. */
  readonly fields?: GsonObject;
  /** What happens once the answer was sent. */
  readonly afterwards?: () => void;
}

/** Commands about the connection: who serves it, who we are, when it ends. */
const handlers: Readonly<Record<string, LinkHandler>> = {
  // Comes twice on every connection, the second time with the servers.
  [readyCommandClass]: {
    answerClass: answerClass.ReadyAnswer,
    does: 'The host is up; keeps its id and the management servers that come along',
    async run(entry, link) {
      const list = readReadyServerList(entry);
      if (list) link.servers.learn(list);
      await link.ready(readReadyCommand(entry).hostId);
      link.balance(false);
      return {};
    },
  },
  [shutdownCommandClass]: {
    answerClass: answerClass.Answer,
    does: 'True; the link stays closed. With `removeHost` (4.15+) the machine’s place in CloudStack is forgotten too',
    run: async (entry, link) => ({ afterwards: () => link.dismiss(removesHost(entry)) }),
  },
  [setupMsListCommandClass]: {
    answerClass: answerClass.SetupMSListAnswer,
    does: 'True; these management servers are tried first from now on, the configured ones after them',
    async run(entry, link) {
      link.servers.learn(readServerList(entry));
      return { afterwards: () => link.balance(flagField(entry.fields, 'triggerHostLb')) };
    },
  },
  [migrateAgentConnectionCommandClass]: {
    answerClass: answerClass.MigrateAgentConnectionAnswer,
    does: 'True, and about 3 s later the link moves to the first of these servers that is not to be avoided; refused where there is none',
    async run(entry, link) {
      link.servers.learn(readServerList(entry));
      const to = link.servers.other(link.server);
      if (!to) throw new ServiceError({ code: 'request.invalid', what: 'the list names no other server' });
      return { afterwards: () => link.moveSoon(to) };
    },
  },
  [setupKeyStoreCommandClass]: {
    answerClass: answerClass.SetupKeystoreAnswer,
    does: 'A certificate request with the service’s own addresses; the key stays here',
    run: async (_entry, link) => ({
      fields: { csr: await link.credentials.requestCertificate(link.addresses) },
    }),
  },
  [setupCertificateCommandClass]: {
    answerClass: answerClass.SetupCertificateAnswer,
    does: 'The certificate is kept, and used by every next connection of all links; refused unless it fits our key, the pinned CA and our addresses',
    async run(entry, link) {
      const { certificate } = readSetupCertificateCommand(entry);
      if (!certificate)
        throw new ServiceError({ code: 'request.invalid', what: 'the command has no certificate' });
      await link.credentials.installCertificate(certificate, link.addresses);
      return {};
    },
  },
};

/** Such commands, for the documentation: see `servedCommands`. */
export function servedLinkCommands(): readonly {
  readonly command: string;
  readonly answerClass: string;
  readonly does: string;
}[] {
  return Object.entries(handlers).map(([command, { answerClass, does }]) => ({ command, answerClass, does }));
}

export function isLinkCommand(className: string): boolean {
  return Object.hasOwn(handlers, className);
}

/** Carries out a command for which {@link isLinkCommand} holds. Never rejects. */
export async function executeLinkCommand(
  entry: ParsedEntry,
  link: LinkControl,
  log: Log,
): Promise<CommandAnswer & { readonly afterwards?: (() => void) | undefined }> {
  const handler = handlers[entry.className]!;
  try {
    const { fields = {}, afterwards } = await handler.run(entry, link);
    return { entry: answerEntry(handler.answerClass, { result: true, fields }), ok: true, afterwards };
  } catch (thrown) {
    return failedAnswer(handler, entry, thrown, {}, log);
  }
}
