import {
  DeviceError,
  type BmcConsole,
  type BmcTarget,
  type DeviceContext,
} from '../../../../plugin-api/index.ts';
import { activateRefusal, activateSol, deactivateSol } from '../../../wire/rmcp/command/sol-payload.ts';
import { completionCode, describeCompletion } from '../../../wire/rmcp/completion-code.ts';
import { decodeSolPacket } from '../../../wire/rmcp/sol-packet.ts';
import type { CommandMode, IpmiConnection } from './ipmi-connection.ts';
import { completionError, place } from './ipmi-errors.ts';
import type { IpmiSettings } from './ipmi-settings.ts';
import { SolConsole } from './sol-console.ts';

export interface ConsoleParts {
  readonly target: BmcTarget;
  /** A connection of the console's own: while it is open, other commands go over the usual one. */
  readonly connection: IpmiConnection;
  readonly settings: IpmiSettings;
  readonly context: DeviceContext;
  readonly driverClosing: AbortSignal;
}

const anyAnswer: CommandMode = { level: 3, tolerate: 'all' };

/**
 * Opens the serial console of a machine.
 * @throws DeviceError `power.busy` when somebody else has it, `power.refused` when the BMC has none or it is switched off
 */
export async function openConsole(
  parts: ConsoleParts,
  { takeOver }: { readonly takeOver: boolean },
  signal: AbortSignal,
): Promise<BmcConsole> {
  const { connection, target, settings, context, driverClosing } = parts;
  try {
    let answer = await connection.exchange(activateSol, undefined, anyAnswer, signal);
    if (answer.completion === activateRefusal.activeElsewhere && takeOver) {
      await connection.exchange(deactivateSol, undefined, anyAnswer, signal);
      answer = await connection.exchange(activateSol, undefined, anyAnswer, signal);
    }
    if (answer.completion !== completionCode.ok) throw refusal(target, answer.completion);
    const activation = connection.decode(() => activateSol.decodeResponse(answer.data), activateSol.name);
    const session = connection.session!;
    const console = new SolConsole({
      target,
      clock: context.clock,
      settings: {
        retryAfter: settings.solRetryAfter,
        tries: settings.solTries,
        refusals: settings.solRefusals,
      },
      activation,
      send: (payload) => session.sendSol(payload),
      leave: async (active) => {
        driverClosing.removeEventListener('abort', onClosing);
        // Only in the session of this console: in another one it would end whoever's console there is by then.
        if (active && !driverClosing.aborted) await connection.lastWord(session, deactivateSol, undefined);
        await connection.leave();
      },
    });
    const onClosing = (): void => console.fail(closed(target));
    driverClosing.addEventListener('abort', onClosing);
    connection.onLost = () =>
      console.fail(
        new DeviceError({
          code: 'power.unreachable',
          what: 'the BMC does not answer any more on the session of the console',
          where: place(target),
        }),
      );
    session.onSol((payload, sequence) => console.hear(decodeSolPacket(payload), sequence));
    return console;
  } catch (error) {
    await connection.leave();
    throw error;
  }
}

function closed(target: BmcTarget): DeviceError {
  return new DeviceError({
    code: 'power.unreachable',
    what: 'the IPMI driver is being closed',
    where: place(target),
  });
}

function refusal(target: BmcTarget, completion: number): DeviceError {
  const where = place(target);
  const said = describeCompletion(completion);
  switch (completion) {
    case activateRefusal.activeElsewhere:
      return new DeviceError({
        code: 'power.busy',
        what: 'somebody else has the serial console',
        where,
        said,
        remedy: 'wait, or take it over',
      });
    case activateRefusal.disabled:
    case activateRefusal.limit:
      return new DeviceError({
        code: 'power.refused',
        what: 'Serial over LAN is switched off on the BMC, or not for this user',
        where,
        said,
        remedy: 'enable Serial over LAN on the BMC, for its LAN channel and this user',
      });
    case activateRefusal.encrypted:
      return new DeviceError({
        code: 'power.refused',
        what: 'the BMC gives its serial console only without encryption, which is not spoken here',
        where,
        said,
        remedy: 'allow encrypted Serial over LAN on the BMC',
      });
    default:
      return completionError(target, activateSol.name, completion);
  }
}
