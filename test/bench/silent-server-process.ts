import { once } from 'node:events';
import { createServer } from 'node:net';
import { answerQuestions } from './child-process.ts';

/** Listens, and once it is frozen takes two connections into its queue and drops every further packet: a server behind a broken path. */
const { host, port } = JSON.parse(process.argv[2]!) as { readonly host: string; readonly port: number };
const server = createServer();
server.listen({ host, port, backlog: 1 });
await once(server, 'listening');
answerQuestions({});
