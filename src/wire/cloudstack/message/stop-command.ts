import type { ParsedEntry } from '../body.ts';
import { flagField } from '../gson-reader.ts';
import { readRebootCommand, type RebootCommand } from './reboot-command.ts';

export const stopCommandClass = 'com.cloud.agent.api.StopCommand';

/** In CloudStack too it extends RebootCommand. */
export interface StopCommand extends RebootCommand {
  readonly forceStop: boolean;
  /** The instance is being expunged: the machine is to be released (4.21+). */
  readonly expungeVM: boolean;
  /**
   * The server heard that the instance is off, and cleans up: one that runs all the same is to be left alone, and the command to fail
   * (`LibvirtStopCommandWrapper`, `VmwareResource`).
   */
  readonly checkBeforeCleanup: boolean;
}

export function readStopCommand(entry: ParsedEntry): StopCommand {
  return {
    ...readRebootCommand(entry),
    forceStop: flagField(entry.fields, 'forceStop'),
    expungeVM: flagField(entry.fields, 'expungeVM'),
    checkBeforeCleanup: flagField(entry.fields, 'checkBeforeCleanup'),
  };
}
