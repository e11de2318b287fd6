import type { BodyEntry, ParsedEntry } from '../body.ts';
import { flagField, textField } from '../gson-reader.ts';
import { gsonText, type GsonObject } from '../gson-writer.ts';
import { agentStyle, commandBase } from './command-base.ts';

const api = 'com.cloud.agent.api.';

/** Answer classes. The server casts many of them: another class than the expected one is an error there. */
export const answerClass = {
  Answer: `${api}Answer`,
  UnsupportedAnswer: `${api}UnsupportedAnswer`,
  StartupAnswer: `${api}StartupAnswer`,
  ReadyAnswer: `${api}ReadyAnswer`,
  CheckNetworkAnswer: `${api}CheckNetworkAnswer`,
  PingAnswer: `${api}PingAnswer`,
  StartAnswer: `${api}StartAnswer`,
  StopAnswer: `${api}StopAnswer`,
  RebootAnswer: `${api}RebootAnswer`,
  PlugNicAnswer: `${api}PlugNicAnswer`,
  UnPlugNicAnswer: `${api}UnPlugNicAnswer`,
  CheckHealthAnswer: `${api}CheckHealthAnswer`,
  CheckOnHostAnswer: `${api}CheckOnHostAnswer`,
  CheckVirtualMachineAnswer: `${api}CheckVirtualMachineAnswer`,
  GetVncPortAnswer: `${api}GetVncPortAnswer`,
  MaintainAnswer: `${api}MaintainAnswer`,
  MigrateAnswer: `${api}MigrateAnswer`,
  PrepareForMigrationAnswer: `${api}PrepareForMigrationAnswer`,
  AgentControlAnswer: `${api}AgentControlAnswer`,
  MigrateAgentConnectionAnswer: `${api}MigrateAgentConnectionAnswer`,
  SetupMSListAnswer: 'org.apache.cloudstack.agent.lb.SetupMSListAnswer',
  SetupKeystoreAnswer: 'org.apache.cloudstack.ca.SetupKeystoreAnswer',
  SetupCertificateAnswer: 'org.apache.cloudstack.ca.SetupCertificateAnswer',
} as const;

export interface AnswerParts {
  readonly result: boolean;
  readonly details?: string | null;
  /** Fields of the subclass. */
  readonly fields?: GsonObject;
  readonly contextMap?: Readonly<Record<string, string>>;
}

export function answerEntry(className: string, parts: AnswerParts): BodyEntry {
  const text = gsonText(
    {
      ...parts.fields,
      result: parts.result,
      details: parts.details ?? null,
      ...commandBase(0, parts.contextMap),
    },
    agentStyle,
  );
  return { className, text };
}

/** The right answer to any class that the agent does not know; the text is the stock agent's. */
export function unsupportedAnswer(commandClass: string): BodyEntry {
  return answerEntry(answerClass.UnsupportedAnswer, {
    result: false,
    details: `Unsupported command issued: ${commandClass}.  Are you sure you got the right type of server?`,
  });
}

/** What a command gets that was not tried because one before it in its frame failed (STOP_ON_ERROR). */
export function stoppedAnswer(): BodyEntry {
  return answerEntry(answerClass.Answer, { result: false, details: 'Stopped by previous failure' });
}

export function readAnswer(entry: ParsedEntry): {
  readonly result: boolean;
  readonly details: string | null;
} {
  return { result: flagField(entry.fields, 'result'), details: textField(entry.fields, 'details') };
}
