import type { StoredRecord } from '../../../core/storage/stored-record.ts';
import type { Tx } from '../../../core/storage/storage.ts';
import { networkOfSubnet } from '../address-use.ts';
import { addressField, needed, textField, wholeField } from '../form-field.ts';
import type { MaasHandler } from '../handler.ts';
import { contains } from '../ip-network.ts';
import type { MaasContext } from '../maas-context.ts';
import { invalidField } from '../maas-refusal.ts';
import { NetworkLookup } from '../network-lookup.ts';
import { apiRoot } from '../shapes/resource-uri.ts';
import { noChoice, storedResource } from '../stored-resource.ts';
import { textOf } from '../text-of.ts';

/** `static-routes/` */
export function staticRoutesHandlers({ storage }: MaasContext): readonly MaasHandler[] {
  return storedResource(storage, {
    kind: 'static-route',
    what: 'StaticRoute',
    names: ['StaticRoutesHandler', 'StaticRouteHandler'],
    doc: 'static routes',
    paths: ['static-routes/', 'static-routes/{id}/'],
    form: {
      source: needed(textField('Number of the subnet from which the route leads.')),
      destination: needed(textField('Number of the subnet to which it leads.')),
      gateway_ip: needed(addressField('Address of the next hop, in the source subnet.')),
      metric: wholeField('Weight.', 0, { min: 0, max: 2 ** 31 - 1 }),
    },
    around: (tx) => NetworkLookup.read(tx),
    shape: ({ id, body: { source, destination, gateway_ip, metric } }, network) => ({
      id,
      source: network.subnet(Number(source)),
      destination: network.subnet(Number(destination)),
      gateway_ip,
      metric,
      resource_uri: `${apiRoot}/static-routes/${id}/`,
    }),
    check: async ({ tx, body }) => {
      const source = await subnetOf(tx, 'source', body['source']);
      const destination = await subnetOf(tx, 'destination', body['destination']);
      if (source.id === destination.id)
        throw invalidField('__all__', 'source and destination cannot be the same subnet.');
      const gateway = textOf(body['gateway_ip']);
      if (!contains(networkOfSubnet(source), gateway))
        throw invalidField('gateway_ip', 'Enter an IP address in source subnet.');
      return { ...body, source: source.id, destination: destination.id };
    },
  });
}

async function subnetOf(tx: Tx, field: string, said: unknown): Promise<StoredRecord> {
  const found = (await tx.records.list('subnet')).find(
    ({ id, body }) => textOf(said) === String(id) || said === body['cidr'],
  );
  if (!found) throw noChoice(field);
  return found;
}
