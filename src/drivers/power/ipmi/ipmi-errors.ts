import { DeviceError, type BmcTarget } from '../../../../plugin-api/index.ts';
import { completionCode, describeCompletion } from '../../../wire/rmcp/completion-code.ts';
import { describeRmcpStatus, rmcpStatus } from '../../../wire/rmcp/rmcp-status.ts';

/** `ipmi 10.0.0.5:623`: where an error or a plan line is about. */
export function place(target: BmcTarget): string {
  const host = target.host.includes(':') ? `[${target.host}]` : target.host;
  return `ipmi ${host}:${target.port}`;
}

export function unreachable(target: BmcTarget, what: string, trouble: string | null): DeviceError {
  return new DeviceError({
    code: 'power.unreachable',
    what,
    where: place(target),
    said: trouble ?? undefined,
  });
}

const busyCodes: ReadonlySet<number> = new Set([
  completionCode.busy,
  completionCode.timeout,
  completionCode.outOfSpace,
  completionCode.initializing,
]);

/** Whether a pause and the same command again may help. */
export function isBusy(completion: number): boolean {
  return busyCodes.has(completion);
}

/**
 * Whether the BMC may have carried the command out although it reported a failure: after these a command that must not be
 * repeated has an unknown outcome, after other failures it was not done.
 */
export function mayHaveHappened(completion: number): boolean {
  return completion === completionCode.timeout || completion === completionCode.unspecified;
}

/** The error for a completion code other than 0. */
export function completionError(target: BmcTarget, command: string, completion: number): DeviceError {
  const parts = {
    what: `${command} was refused`,
    where: place(target),
    said: describeCompletion(completion),
  };
  if (completion === completionCode.insufficientPrivilege)
    return new DeviceError({ code: 'power.privilege', ...parts });
  if (isBusy(completion) || completion === completionCode.unspecified)
    return new DeviceError({ code: 'power.busy', ...parts });
  return new DeviceError({ code: 'power.refused', ...parts });
}

/** The error for a refused session set-up (Open Session, RAKP 2, RAKP 4). */
export function statusError(target: BmcTarget, step: string, status: number): DeviceError {
  const parts = { what: `${step} was refused`, where: place(target), said: describeRmcpStatus(status) };
  switch (status) {
    case rmcpStatus.noResources:
    case rmcpStatus.noResourcesAtRole:
      return new DeviceError({ code: 'power.busy', ...parts });
    case rmcpStatus.unauthorizedName:
    case rmcpStatus.invalidNameLength:
    case rmcpStatus.invalidCheckValue:
    case rmcpStatus.unauthorizedGuid:
      return new DeviceError({ code: 'power.auth', ...parts });
    case rmcpStatus.invalidRole:
    case rmcpStatus.unauthorizedRole:
      return new DeviceError({ code: 'power.privilege', ...parts });
    default:
      return isSuiteRefusal(status)
        ? new DeviceError({ code: 'power.suite', ...parts })
        : new DeviceError({ code: 'power.protocol', ...parts });
  }
}

/** Whether a status says that the BMC does not take the cipher suite. */
export function isSuiteRefusal(status: number): boolean {
  return (
    status === rmcpStatus.invalidAuthentication ||
    status === rmcpStatus.invalidIntegrity ||
    status === rmcpStatus.invalidConfidentiality ||
    status === rmcpStatus.noSuiteMatch
  );
}
