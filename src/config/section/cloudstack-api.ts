import { z } from 'zod';
import { duration, flag, optionalPath, optionalSecret, optionalText, wholeNumber } from '../setting.ts';

const urlRemedy = 'write the address of the API, for example https://cloudstack.example.org/client/api';

/** Keys of CloudStack's HTTP API, and what is done with them. */
export const api = z
  .strictObject({
    url: optionalText(
      "CloudStack's HTTP API, for example https://cloudstack.example.org/client/api; absent = it is not used",
      urlRemedy,
      /^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/,
    ),
    apiKey: optionalSecret('API key of a root administrator there, for example file:/etc/csbm/api.key'),
    secretKey: optionalSecret('Secret key that belongs to it, for example file:/etc/csbm/secret.key'),
    caFile: optionalPath(
      'CA certificate (PEM) of the API server, where its certificate is not signed by a public one',
    ),
    timeout: duration('One request to the API takes at most', '30s'),
    renewCertificate: flag(
      'Whether to have the API issue our certificate for port 8250 when there is none, and anew before it ends',
      true,
    ),
    renewBefore: duration('How long before its end that certificate is renewed', '30d'),
  })
  .superRefine((value, context) => {
    const given = (['url', 'apiKey', 'secretKey'] as const).filter((key) => value[key] !== undefined);
    for (const key of ['url', 'apiKey', 'secretKey'] as const) {
      if (given.length === 0 || given.includes(key)) continue;
      const message = 'set url, apiKey and secretKey together';
      context.addIssue({ code: 'custom', path: [key], params: { what: 'is missing' }, message });
    }
  });

/** How machines are found whose instance CloudStack has expunged. */
export const reconcile = z.strictObject({
  enabled: flag('Whether to look for expunged instances now and then, where the API is configured', true),
  interval: duration('Time between two rounds', '5m'),
  rounds: wholeNumber('How many rounds in a row must find an instance gone', 3, 2, 100),
  spacing: duration('Least time between two rounds that count', '4m'),
  destroy: flag(
    'Whether machines of expunged instances are taken back, and so erased; otherwise they are only reported',
    false,
  ),
  maxPerRound: wholeNumber('Most machines that one round takes back', 2, 1, 1_000),
  maxPercent: wholeNumber(
    'When more of a hundred instances look expunged at once, none is taken back',
    20,
    1,
    100,
  ),
});
