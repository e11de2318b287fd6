import { netFn } from '../ipmi-message.ts';
import { MalformedPacket, requireLength } from '../malformed-packet.ts';
import { empty, type CommandCodec } from './command-codec.ts';

export type ChassisAction = 'off' | 'on' | 'cycle' | 'reset' | 'diagnostic' | 'soft';

const actions: readonly ChassisAction[] = ['off', 'on', 'cycle', 'reset', 'diagnostic', 'soft'];

/** The BMC cannot tell a retransmission from a second command: these must not be sent twice. */
export const atMostOnceActions: ReadonlySet<ChassisAction> = new Set([
  'cycle',
  'reset',
  'diagnostic',
  'soft',
]);

/** IPMI 2.0, section 28.3. Completion code 0 means accepted, not done. */
export const chassisControl: CommandCodec<{ readonly action: ChassisAction }, undefined> = {
  name: 'Chassis Control',
  netFn: netFn.chassis,
  command: 0x02,
  encodeRequest: (request) => Buffer.from([actions.indexOf(request.action)]),
  decodeRequest(data) {
    requireLength(data, 1, 'Chassis Control');
    const action = actions[data[0]! & 0x0f];
    if (action === undefined) throw new MalformedPacket(`Chassis Control: action ${data[0]! & 0x0f}`);
    return { action };
  },
  encodeResponse: empty,
  decodeResponse: () => undefined,
};
