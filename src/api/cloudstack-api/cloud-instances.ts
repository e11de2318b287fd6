import { randomUUID } from 'node:crypto';
import type {
  AskedInstance,
  InstanceDirectory,
  Sighting,
} from '../../operations/reconcile/instance-directory.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import {
  apiErrorCode,
  getUserResponse,
  listVirtualMachinesResponse,
  type ListedInstance,
} from '../../wire/cloudstack-api/response.ts';
import { ApiRefusal, type ApiClient } from './api-client.ts';

/** `Account.java`: what the account of a root administrator is. */
const rootAdministrator = 1;

/** UUIDs asked for at once: a few kilobytes of form. */
const batchSize = 100;

/** Instances per page; servers refuse more than `default.page.size`, 500 unless somebody changed it. */
const pageSize = 100;

/** Every account's instances, in every project. */
const everywhere = { listall: 'true', projectid: '-1', isrecursive: 'true', details: 'min' };

type Lookup =
  | { readonly kind: 'listed'; readonly instance: ListedInstance }
  /** The UUID is known, and nothing is there any more: its row is marked as removed. */
  | { readonly kind: 'removed' }
  /** The UUID was never known, or its row is purged. */
  | { readonly kind: 'unknown' };

/** CloudStack's own record of its instances, by its HTTP API. */
export class CloudInstances implements InstanceDirectory {
  readonly #api: ApiClient;

  constructor(api: ApiClient) {
    this.#api = api;
  }

  async look(asked: readonly AskedInstance[], signal: AbortSignal): Promise<ReadonlyMap<string, Sighting>> {
    // Anyone else does not see what is not theirs: to them, that would look expunged.
    await this.#requireRootAdministrator(signal);
    const known = asked.filter((one): one is AskedInstance & { uuid: string } => one.uuid !== null);
    const lookups = new Map<string, Lookup>();
    for (let from = 0; from < known.length; from += batchSize) {
      const batch = known.slice(from, from + batchSize);
      const listed = await this.#listed(batch, signal);
      for (const { name, uuid } of batch) {
        const instance = listed?.get(uuid);
        // What is not listed is asked for by itself, which tells more.
        lookups.set(name, instance ? { kind: 'listed', instance } : await this.#lookup(uuid, signal));
      }
    }
    const proof = await this.#removedIsProof([...lookups.values()], signal);
    const sightings = new Map<string, Sighting>();
    for (const one of asked) {
      const lookup = lookups.get(one.name);
      sightings.set(one.name, lookup ? judge(one, lookup, proof) : await this.#byName(one, signal));
    }
    return sightings;
  }

  async #requireRootAdministrator(signal: AbortSignal): Promise<void> {
    const { user } = await this.#api.call(
      'getUser',
      { userapikey: this.#api.keys.apiKey.reveal() },
      getUserResponse,
      signal,
    );
    if (user.accounttype === rootAdministrator) return;
    throw new ServiceError({
      code: 'cloudstack.credentials',
      where: this.#api.where,
      what: 'the keys are not of a root administrator, who alone sees every instance',
    });
  }

  /** Those of the batch that are listed, by UUID; null when the server refuses the list because it never knew one of them. */
  async #listed(
    batch: readonly { readonly uuid: string }[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, ListedInstance> | null> {
    try {
      return await this.#pages({ ids: batch.map(({ uuid }) => uuid).join(',') }, signal);
    } catch (thrown) {
      if (isUnknownParameter(thrown)) return null;
      throw thrown;
    }
  }

  async #lookup(uuid: string, signal: AbortSignal): Promise<Lookup> {
    try {
      const instance = (await this.#pages({ id: uuid }, signal)).get(uuid);
      return instance ? { kind: 'listed', instance } : { kind: 'removed' };
    } catch (thrown) {
      if (isUnknownParameter(thrown)) return { kind: 'unknown' };
      throw thrown;
    }
  }

  /** Every page of a list; a list that changes while it is read is no answer. */
  async #pages(
    filter: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, ListedInstance>> {
    const found = new Map<string, ListedInstance>();
    let total: number | null = null;
    for (let page = 1; total === null || found.size < total; page += 1) {
      const parameters = { ...everywhere, ...filter, page: String(page), pagesize: String(pageSize) };
      const answer = await this.#api.call(
        'listVirtualMachines',
        parameters,
        listVirtualMachinesResponse,
        signal,
      );
      const before = found.size;
      for (const instance of answer.virtualmachine) found.set(instance.id.toLowerCase(), instance);
      const whole = answer.virtualmachine.length === found.size - before;
      if (!whole || (total ?? answer.count) !== answer.count || found.size > answer.count)
        throw this.#incomplete('its pages do not fit together');
      total = answer.count;
      if (found.size < total && answer.virtualmachine.length === 0)
        throw this.#incomplete(`it has ${found.size} of ${total} entries`);
    }
    return found;
  }

  /**
   * Whether this API tells a removed instance from one that it never had: it does if it refuses a UUID that nobody ever had.
   * Otherwise an absence would mean nothing, for a cloud that was set up anew or restored from a backup has none of ours.
   */
  async #removedIsProof(lookups: readonly Lookup[], signal: AbortSignal): Promise<boolean> {
    if (!lookups.some(({ kind }) => kind === 'removed')) return false;
    return (await this.#lookup(randomUUID(), signal)).kind === 'unknown';
  }

  /** An instance whose UUID is not known is only ever found, never missed: a name is no proof that it was the same one. */
  async #byName({ name }: AskedInstance, signal: AbortSignal): Promise<Sighting> {
    const listed = [...(await this.#pages({ keyword: name }, signal)).values()];
    const instance = listed.find(({ instancename }) => instancename === name);
    const sighting = instance && seen(instance);
    if (sighting && sighting.kind !== 'gone') return sighting;
    return { kind: 'unclear', why: 'its UUID is not known here, and no instance of its name is alive there' };
  }

  #incomplete(what: string): ServiceError {
    return new ServiceError({
      code: 'cloudstack.answer',
      where: this.#api.where,
      what: `the list of instances is not complete: ${what}`,
    });
  }
}

function judge(one: AskedInstance, lookup: Lookup, removedIsProof: boolean): Sighting {
  switch (lookup.kind) {
    case 'listed': {
      const { instancename } = lookup.instance;
      if (instancename === undefined || instancename === one.name) return seen(lookup.instance);
      return { kind: 'unclear', why: `its UUID is that of ${instancename} there` };
    }
    case 'removed':
      if (removedIsProof) return { kind: 'gone', how: 'removed' };
      return { kind: 'unclear', why: 'it is not there, but this API says the same of what it never had' };
    case 'unknown':
      return { kind: 'unclear', why: 'nothing is known of its UUID: purged, or another cloud than it was' };
  }
}

/** A destroyed instance can be recovered until it is expunged; an expunging one cannot (`VirtualMachine.State`). */
function seen({ id, state }: ListedInstance): Sighting {
  if (state === 'Expunging' || state === 'Expunged') return { kind: 'gone', how: `state ${state}` };
  return { kind: state === 'Destroyed' ? 'recoverable' : 'present', uuid: id.toLowerCase(), state };
}

/** What the API says to a UUID that is in no row, removed ones included (`ParamProcessWorker.translateUuidToInternalId`). */
function isUnknownParameter(thrown: unknown): boolean {
  return (
    thrown instanceof ApiRefusal &&
    thrown.api.errorcode === apiErrorCode.parameter &&
    /entity does not exist|unable to find/i.test(thrown.api.errortext)
  );
}
