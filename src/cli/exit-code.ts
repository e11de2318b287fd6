import type { CodedError } from '../../plugin-api/index.ts';

/** How `csbm` ends; docs/cli.md lists them. */
export const exitCodes = {
  ok: 0,
  /** Refused, or failed. */
  failed: 1,
  /** The command line is wrong; nothing was done. */
  usage: 2,
  /** The service does not answer. */
  unreachable: 3,
  /** Ctrl-C while following: 128 + SIGINT, as shells count. The operation goes on. */
  interrupted: 130,
} as const;

export function exitCodeOf(error: CodedError): number {
  if (error.code === 'service.unreachable') return exitCodes.unreachable;
  return error.code === 'cli.usage' ? exitCodes.usage : exitCodes.failed;
}

/** Ends the command with this code; everything that is to be said has been said. */
export class Exit extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}
