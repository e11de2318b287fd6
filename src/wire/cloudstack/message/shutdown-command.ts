import type { BodyEntry } from '../body.ts';
import { gsonText } from '../gson-writer.ts';
import { agentStyle, commandBase } from './command-base.ts';

export const shutdownCommandClass = 'com.cloud.agent.api.ShutdownCommand';

/** Clean exit of the agent: with reason `sig.kill` the server sets the host to Disconnected without an investigation. */
export function shutdownCommand(): BodyEntry {
  const text = gsonText({ reason: 'sig.kill', removeHost: false, ...commandBase() }, agentStyle);
  return { className: shutdownCommandClass, text };
}
