import assert from 'node:assert/strict';
import { MaasService } from './maas-service.ts';

interface ActionView {
  readonly name: string;
  readonly doc: string;
  readonly method: string;
  readonly op: string | null;
  readonly restful: boolean;
}

interface HandlerView {
  readonly name: string;
  readonly doc: string;
  readonly path: string;
  readonly uri: string;
  readonly params: readonly string[];
  readonly actions: readonly ActionView[];
}

interface ResourceView {
  readonly name: string;
  readonly anon: HandlerView | null;
  readonly auth: HandlerView | null;
}

describe('MAAS API: describe/', () => {
  const maas = new MaasService();
  before(() => maas.start());
  after(() => maas.dispose());

  const read = async (): Promise<{ readonly resources: readonly ResourceView[]; readonly hash: string }> =>
    (await maas.get('describe/', { key: null })).json as Awaited<ReturnType<typeof read>>;

  it('comes with the content type and the hash that the maas command compares', async () => {
    const { status, headers, json } = await maas.get('describe/', { key: null });
    assert.equal(status, 200);
    assert.equal(headers.get('content-type'), 'application/json');
    const { hash, doc, handlers } = json as { hash: string; doc: string; handlers: unknown };
    assert.match(hash, /^[0-9a-f]{40}$/);
    assert.equal(headers.get('x-maas-api-hash'), hash);
    for (const answer of [await maas.get('users/?op=whoami'), await maas.get('nothing/')])
      assert.equal(answer.headers.get('x-maas-api-hash'), hash);
    assert.ok(typeof doc === 'string' && Array.isArray(handlers));
    // Another way to the same service is the same API.
    const elsewhere = await maas.get('describe/', {
      key: null,
      headers: { 'x-forwarded-host': 'elsewhere' },
    });
    assert.equal((elsewhere.json as { hash: string }).hash, hash);
    assert.equal((await maas.post('describe/', {}, { key: null })).status, 405);
  });

  it('names every resource as MAAS does, with all that clients read of one', async () => {
    const { resources } = await read();
    const names = resources.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length, 'two resources have one name');
    for (const resource of resources) {
      assert.match(resource.name, /^[A-Z][A-Za-z]+Handler$/);
      const views = [resource.anon, resource.auth].filter((view) => view !== null);
      assert.ok(views.length > 0, resource.name);
      for (const view of views) {
        assert.ok(view.doc.length > 0 && view.path.startsWith('/MAAS/api/2.0/'), view.name);
        assert.equal(view.uri, maas.url + view.path);
        assert.deepEqual(
          view.params,
          [...view.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]),
        );
        const keys = view.actions.map(({ method, op }) => `${method} ${op}`);
        assert.equal(new Set(keys).size, keys.length, `${view.name} has an action twice`);
        for (const { name, op, restful, method, doc } of view.actions) {
          const restfulName = { GET: 'read', POST: 'create', PUT: 'update', DELETE: 'delete' }[method];
          assert.equal(name, op ?? restfulName);
          assert.equal(restful, op === null);
          assert.ok(doc.length > 0, `${view.name} ${name}`);
        }
      }
    }
  });

  it('tells apart what anybody may call, and lists parameters so that the maas command takes them', async () => {
    const { resources } = await read();
    const find = (name: string): ResourceView => resources.find((one) => one.name === name)!;
    assert.equal(find('VersionHandler').auth, null);
    assert.equal(find('VersionHandler').anon?.name, 'VersionHandler');
    const users = find('UsersHandler');
    assert.equal(users.anon, null);
    const create = users.auth!.actions.find(({ name }) => name === 'create')!;
    assert.match(create.doc, /:param username: /);
    assert.ok(users.auth!.actions.some(({ name }) => name === 'whoami'));
  });

  it('describes nothing that it then would not know', async () => {
    const { resources } = await read();
    for (const { auth } of resources) {
      if (!auth) continue;
      for (const { method, op } of auth.actions) {
        if (method !== 'GET') continue;
        const path = auth.path.replaceAll(/\{\w+\}/g, 'zzzzzz');
        const answer = await maas.get(`${path}${op === null ? '' : `?op=${op}`}`);
        assert.ok(answer.status < 500, `${path} ${op}: ${answer.status} ${answer.text}`);
        assert.ok(!/Unknown API endpoint|Unrecognised signature/.test(answer.text), `${path} ${op}`);
      }
    }
  });
});
