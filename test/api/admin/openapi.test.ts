import assert from 'node:assert/strict';
import { AdminService, bmcPassword, enrolment } from './admin-service.ts';
import { adminApp, type AdminAppOptions } from '../../../src/api/admin/admin-app.ts';
import { PublishedApi } from './published-api.ts';

/** What express keeps of a route. */
interface Layer {
  readonly route?: { readonly path: string; readonly methods: Readonly<Record<string, boolean>> };
}

describe('admin API: its OpenAPI document', () => {
  const service = new AdminService();
  let api: PublishedApi;
  before(async () => {
    await service.start();
    api = await PublishedApi.read(service.url);
  });
  after(() => service.dispose());

  it('is there for anybody, and holds no secret', async () => {
    const response = await fetch(`${service.url}/openapi.json`);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
    const text = await response.text();
    assert.ok(!text.includes(service.token));
    assert.equal((JSON.parse(text) as { openapi: string }).openapi, '3.1.0');
  });

  it('has every route that the server answers on, and no other', () => {
    const app = adminApp({ version: '0' } as unknown as AdminAppOptions);
    const { stack } = (app as unknown as { readonly router: { readonly stack: readonly Layer[] } }).router;
    const served = stack.flatMap(({ route }) =>
      route === undefined
        ? []
        : Object.keys(route.methods).map((method) => `${method} ${route.path.replaceAll(/:(\w+)/g, '{$1}')}`),
    );
    const published = Object.entries(api.document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    assert.ok(served.length > 30);
    assert.deepEqual(served.sort(), published.sort());
  });

  it('every schema is one, every reference leads somewhere, every operation has a name of its own', () => {
    const { paths } = api.document;
    const text = JSON.stringify(api.document);
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(
      (match) => match[1]!,
    );
    assert.ok(references.length > 20);
    for (const name of references) assert.ok(name in api.document.components.schemas, name);
    assert.ok(!text.includes('#/$defs/'));
    const names = Object.values(paths).flatMap((methods) =>
      Object.values(methods).map((one) => (one as unknown as { readonly operationId: string }).operationId),
    );
    assert.equal(new Set(names).size, names.length);
  });

  it('the judge of answers sees what is missing and what is too much', async () => {
    const { json } = await service.post('/machines', enrolment(1));
    const { machine } = json;
    api.check('GET', '/machines/node-1', 200, { machine });
    const { hostname, ...headless } = machine;
    assert.throws(() => api.check('GET', `/machines/${hostname}`, 200, { machine: headless }), /hostname/);
    const chatty = { machine: { ...machine, bmc: { ...machine.bmc, password: bmcPassword } } };
    assert.throws(() => api.check('GET', '/machines/node-1', 200, chatty), /password/);
    assert.throws(() => api.check('GET', '/machines/node-1', 404, { machine }), /error/);
  });

  it('says of what is sent just what the server checks', async () => {
    const post = api.document.paths['/api/v1/machines']?.['post'] as unknown as {
      readonly requestBody: { readonly content: Readonly<Record<string, { readonly schema: unknown }>> };
    };
    const schema = post.requestBody.content['application/json']?.schema as {
      readonly additionalProperties: boolean;
      readonly required: readonly string[];
      readonly properties: { readonly bmc: { readonly properties: { readonly password: object } } };
    };
    assert.equal(schema.additionalProperties, false);
    assert.deepEqual([...schema.required].sort(), ['bmc', 'hostname', 'macs']);
    assert.deepEqual(schema.properties.bmc.properties.password, {
      type: 'string',
      format: 'password',
      writeOnly: true,
    });
    assert.equal((await service.post('/machines', {})).status, 400);
  });
});
