import type { JsonValue } from '../../../../plugin-api/index.ts';
import { InterfaceModel, type NextNumbers } from '../../../core/network/interface-model.ts';
import type { StoredRecord } from '../../../core/storage/stored-record.ts';
import type { Tx } from '../../../core/storage/storage.ts';
import { refuseForeignAddress } from '../address-use.ts';
import { toDevice, withInterfaces } from '../device.ts';
import { flagOf, wholeNumber } from '../form-values.ts';
import type { MaasAction, MaasCall, MaasHandler, MaasReply } from '../handler.ts';
import type { MaasContext } from '../maas-context.ts';
import { MaasRefusal, notFound } from '../maas-refusal.ts';
import { interfacesJson } from '../shapes/interface.ts';
import { Surroundings } from '../surroundings.ts';
import { orderOf, refusing } from './interfaces.ts';

/** A change of a device's interfaces; gives the number of the one to answer with, null for none. */
type Work = (model: InterfaceModel, call: MaasCall, tx: Tx) => number | null | Promise<number>;

const changes: Readonly<Record<string, Work>> = {
  'POST create_physical': (model, { fields }) => model.createPhysical(orderOf(fields)).id,
  'PUT null': (model, call) => model.update(idIn(model, call), orderOf(call.fields)).id,
  'DELETE null': (model, call) => {
    model.delete(idIn(model, call));
    return null;
  },
  'POST link_subnet': async (model, call, tx) => {
    await refuseForeignAddress(tx, call, call.param('system_id'));
    const link = {
      mode: call.fields.get('mode'),
      subnet: wholeNumber(call.fields, 'subnet'),
      address: call.fields.get('ip_address'),
      force: flagOf(call.fields, 'force') ?? false,
    };
    return model.linkSubnet(idIn(model, call), link).id;
  },
  'POST unlink_subnet': (model, call) =>
    model.unlinkSubnet(idIn(model, call), wholeNumber(call.fields, 'id')).id,
  'POST disconnect': (model, call) => model.disconnect(idIn(model, call)).id,
};

/** The handlers of machines' interfaces, which serve devices at the same addresses too. */
export function withDeviceInterfaces(
  { storage }: Pick<MaasContext, 'storage'>,
  handlers: readonly MaasHandler[],
): readonly MaasHandler[] {
  return handlers.map((handler) => {
    const one = handler.path.endsWith('{id}/');
    const actions = handler.actions.map((action): MaasAction => ({
      ...action,
      handle: async (call) => {
        const answer = await storage.run((tx) => answerOfDevice(tx, action, one, call));
        return answer ?? action.handle(call);
      },
    }));
    return { ...handler, actions };
  });
}

/**
 * Null where the path names no device.
 * @param one whether it names one of its interfaces
 */
async function answerOfDevice(
  tx: Tx,
  action: MaasAction,
  one: boolean,
  call: MaasCall,
): Promise<MaasReply | null> {
  const record = await tx.records.findByName('device', call.param('system_id'));
  if (!record) return null;
  const around = await Surroundings.read(tx);
  if (action.method === 'GET') {
    const all = shapes(record, around);
    if (!one) return { json: all };
    const named = call.param('id');
    const found = all.find(({ id, name }) => String(id) === named || name === named);
    if (!found) throw notFound('Interface');
    return { json: found };
  }
  if (!call.user.isAdmin && record.body['owner'] !== call.user.principal.name)
    throw new MaasRefusal(403, 'Forbidden');
  const work = changes[`${action.method} ${String(action.op)}`];
  if (!work)
    throw new MaasRefusal(409, `Cannot ${action.op ?? 'change'}: a device has physical interfaces only.`);
  const model = new InterfaceModel({
    interfaces: toDevice(record).interfaces,
    numbers: (record.body['interface_numbers'] ?? null) as NextNumbers | null,
    network: around.network,
    defaultBondMode: 'active-backup',
  });
  const id = await refusing(async () => work(model, call, tx));
  const numbers: JsonValue = { ...model.numbers };
  const body = withInterfaces({ ...record.body, interface_numbers: numbers }, model.interfaces);
  const stored = await tx.records.update({ ...record, body });
  return id === null ? { empty: true } : { json: shapes(stored, around).find((one) => one.id === id) };
}

function shapes(record: StoredRecord, around: Surroundings) {
  const { systemId, interfaces } = toDevice(record);
  return interfacesJson(systemId, interfaces, [], around.network);
}

function idIn({ interfaces }: InterfaceModel, call: MaasCall): number {
  const named = call.param('id');
  const found = interfaces.find(({ id, name }) => String(id) === named || name === named);
  if (!found) throw notFound('Interface');
  return found.id;
}
