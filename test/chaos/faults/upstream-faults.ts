import type { ProxyFault } from '../../support/fault-proxy.ts';
import type { Draw } from '../draw.ts';
import type { FaultKind } from '../fault.ts';

const page = '<html><head><title>502 Bad Gateway</title></head></html>';
const spoilt: readonly (readonly [weight: number, fault: ProxyFault])[] = [
  [3, { kind: 'cut-before' }],
  [3, { kind: 'cut-after' }],
  [2, { kind: 'answer', code: 503, body: 'no rack', headers: { 'retry-after': '0' } }],
  [2, { kind: 'answer', code: 502, body: page, headers: { 'content-type': 'text/html' } }],
  [1, { kind: 'answer', code: 500, body: 'Internal Server Error' }],
  [1, { kind: 'answer', code: 200, body: '{"hostname": "half an ans' }],
  [1, { kind: 'hang' }],
];
const requests: readonly RegExp[] = [
  /op=allocate/,
  /op=deploy/,
  /op=release/,
  /op=set_owner_data/,
  /op=create_bond/,
  /op=(power_on|power_off|query_power_state)/,
  /^GET /,
  /^(POST|PUT|DELETE) /,
  /./,
];

export const upstreamFaults: readonly FaultKind[] = [
  {
    name: 'MAAS misbehaves',
    weight: 12,
    needs: 'maas',
    make: (draw: Draw, { stage }) => {
      const match = draw.pick(requests);
      const faults = Array.from({ length: draw.pick([1, 1, 2, 4]) }, () => draw.weighted(spoilt));
      return {
        text: `MAAS, at ${String(match)}: ${faults.map((fault) => (fault.kind === 'answer' ? fault.code : fault.kind)).join(', ')}`,
        begin: () => stage.proxy?.spoil(match, ...faults),
        end: () => stage.proxy?.heal(),
      };
    },
  },
];
